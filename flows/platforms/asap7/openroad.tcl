# What layout needs to know of ASAP7: layers, tracks, taps, power grid.
set layout(site) asap7sc7p5t
set layout(tie_low) TIELOx1_ASAP7_75t_R/L
set layout(tie_high) TIEHIx1_ASAP7_75t_R/H
set layout(fill) {FILLERxp5_ASAP7_75t_R FILLER_ASAP7_75t_R DECAPx1_ASAP7_75t_R}
set layout(pin_layers_horizontal) {M4 M6}
set layout(pin_layers_vertical) M5
set layout(signal_layers) M2-M7
set layout(unused_share) 0.4
set layout(clock_layers) M4-M7

# kOhm and fF for a micrometre
proc set_wires {} {
  foreach {layer resistance capacitance} {
    M1 7.042e-02 1e-10  M2 2.971e-02 0.1749  M3 3.129e-02 0.1556  M4 1.804e-02 0.1785  M5 1.899e-02 0.1643
    M6 1.188e-02 0.1874  M7 1.251e-02 0.1630  M8 8.448e-03 0.1040  M9 8.890e-03 0.0928
  } {
    set_layer_rc -layer $layer -resistance $resistance -capacitance $capacitance
  }
  set_wire_rc -signal -resistance 2.657e-02 -capacitance 0.1658
  set_wire_rc -clock -resistance 2.142e-02 -capacitance 0.1454
}

proc set_tracks {} {
  foreach {layer x_offset x_pitch y_offset y_pitch} {
    M9 0.116 0.080 0.116 0.080  M8 0.116 0.080 0.116 0.080  M7 0.016 0.064 0.016 0.064  M6 0.012 0.048 0.016 0.064
    M5 0.012 0.048 0.012 0.048  M4 0.009 0.036 0.012 0.048  M3 0.009 0.036 0.009 0.036  M1 0.009 0.036 0.009 0.036
  } {
    make_tracks $layer -x_offset $x_offset -x_pitch $x_pitch -y_offset $y_offset -y_pitch $y_pitch
  }
  # seven tracks of M2 between the rails of a row
  foreach y_offset {0.045 0.081 0.117 0.153 0.189 0.225 0.270} {
    make_tracks M2 -x_offset 0.009 -x_pitch 0.036 -y_offset $y_offset -y_pitch 0.270
  }
}

# paths are long beside the clock
proc placement_options {} {
  set density [expr {min(0.05 + [gpl::get_global_placement_uniform_density], 0.99)}]
  list -density $density -timing_driven -routability_driven
}

proc set_taps {} {
  tapcell -distance 25 -tapcell_master TAPCELL_ASAP7_75t_R -endcap_master TAPCELL_ASAP7_75t_R
}

proc set_power_grid {} {
  add_global_connection -net VDD -inst_pattern .* -pin_pattern {^VDD$} -power
  add_global_connection -net VSS -inst_pattern .* -pin_pattern {^VSS$} -ground
  global_connect
  set_voltage_domain -name CORE -power VDD -ground VSS
  define_pdn_grid -name grid -voltage_domains CORE -pins M6
  add_pdn_stripe -grid grid -layer M1 -width 0.018 -pitch 0.54 -offset 0 -followpins
  add_pdn_stripe -grid grid -layer M2 -width 0.018 -pitch 0.54 -offset 0 -followpins
  add_pdn_stripe -grid grid -layer M5 -width 0.12 -spacing 0.072 -pitch 5.4 -offset 0.300
  add_pdn_stripe -grid grid -layer M6 -width 0.288 -spacing 0.096 -pitch 5.4 -offset 0.513
  add_pdn_connect -grid grid -layers {M1 M2}
  add_pdn_connect -grid grid -layers {M2 M5}
  add_pdn_connect -grid grid -layers {M5 M6}
}
