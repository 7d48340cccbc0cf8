# What layout needs to know of FreePDK45 and the NanGate cells: layers, tracks, taps, power grid.
set layout(site) FreePDK45_38x28_10R_NP_162NW_34O
set layout(tie_low) LOGIC0_X1/Z
set layout(tie_high) LOGIC1_X1/Z
set layout(fill) {FILLCELL_X1 FILLCELL_X2 FILLCELL_X4 FILLCELL_X8 FILLCELL_X16 FILLCELL_X32}
set layout(pin_layers_horizontal) {metal3 metal5}
set layout(pin_layers_vertical) metal6
set layout(signal_layers) metal2-metal10
set layout(unused_share) 0.4
set layout(clock_layers) metal4-metal10

# kOhm and fF for a micrometre
proc set_wires {} {
  foreach {layer resistance capacitance} {
    metal1 5.43e-03 0.0742  metal2 3.57e-03 0.0834  metal3 3.57e-03 0.1040  metal4 1.50e-03 0.1192
    metal5 1.50e-03 0.1093  metal6 1.50e-03 0.1142  metal7 1.88e-04 0.1175  metal8 1.88e-04 0.0945
    metal9 3.75e-05 0.1061  metal10 3.75e-05 0.7371
  } {
    set_layer_rc -layer $layer -resistance $resistance -capacitance $capacitance
  }
  set_wire_rc -signal -layer metal3
  set_wire_rc -clock -layer metal5
}

proc set_tracks {} {
  foreach {layer x y} {
    metal1 0.19 0.14  metal2 0.19 0.14  metal3 0.19 0.14  metal4 0.28 0.28  metal5 0.28 0.28
    metal6 0.28 0.28  metal7 0.8 0.8  metal8 0.8 0.8  metal9 1.6 1.6  metal10 1.6 1.6
  } {
    make_tracks $layer -x_offset 0.095 -x_pitch $x -y_offset 0.07 -y_pitch $y
  }
}

# cells crowd to seven tenths in the middle: wires are shorter, and ten layers have room for them; where they have not,
# layout runs once more with cells that are spread over the core
proc placement_options {} {
  global layout
  if {!$layout(spread)} { return {} }
  list -density [expr {min(0.05 + [gpl::get_global_placement_uniform_density], 0.99)}]
}

proc set_taps {} {
  tapcell -distance 120 -tapcell_master TAPCELL_X1 -endcap_master TAPCELL_X1
}

proc set_power_grid {} {
  add_global_connection -net VDD -inst_pattern .* -pin_pattern {^VDD$} -power
  add_global_connection -net VSS -inst_pattern .* -pin_pattern {^VSS$} -ground
  global_connect
  set_voltage_domain -name CORE -power VDD -ground VSS
  define_pdn_grid -name grid -voltage_domains CORE -pins metal7
  add_pdn_stripe -grid grid -layer metal1 -width 0.17 -pitch 2.4 -offset 0 -followpins
  add_pdn_stripe -grid grid -layer metal4 -width 0.48 -pitch 56.0 -offset 2
  add_pdn_stripe -grid grid -layer metal7 -width 1.40 -pitch 30.0 -offset 2
  add_pdn_connect -grid grid -layers {metal1 metal4}
  add_pdn_connect -grid grid -layers {metal4 metal7}
}
