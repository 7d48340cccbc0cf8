# What layout needs to know of SkyWater 130 nm: layers, tracks, taps, power grid.
# a column as wide as high: tracks that run up are scarcer than those across
set layout(aspect_ratio) 1.0
set layout(site) unithd
set layout(tie_low) sky130_fd_sc_hd__conb_1/LO
set layout(tie_high) sky130_fd_sc_hd__conb_1/HI
set layout(fill) {sky130_fd_sc_hd__fill_1 sky130_fd_sc_hd__fill_2 sky130_fd_sc_hd__fill_4 sky130_fd_sc_hd__fill_8}
set layout(diode) sky130_fd_sc_hd__diode_2
set layout(pin_layers_horizontal) {met3 met1}
set layout(pin_layers_vertical) met2
set layout(signal_layers) met1-met5
set layout(unused_share) 0.3
set layout(clock_layers) met3-met5

# kOhm and pF for a micrometre
proc set_wires {} {
  foreach {layer resistance capacitance} {
    li1 7.176e-02 1.499e-04  met1 1.206e-03 1.724e-04  met2 1.221e-03 1.362e-04
    met3 1.663e-04 2.150e-04  met4 1.681e-04 1.481e-04  met5 1.836e-05 1.541e-04
  } {
    set_layer_rc -layer $layer -resistance $resistance -capacitance $capacitance
  }
  set_wire_rc -signal -layer met1
  set_wire_rc -clock -layer met3
}

proc set_tracks {} {
  foreach {layer x_offset x_pitch y_offset y_pitch} {
    li1 0.23 0.46 0.17 0.34  met1 0.17 0.34 0.17 0.34  met2 0.23 0.46 0.23 0.46
    met3 0.34 0.68 0.34 0.68  met4 0.46 0.92 0.46 0.92  met5 1.70 3.40 1.70 3.40
  } {
    make_tracks $layer -x_offset $x_offset -x_pitch $x_pitch -y_offset $y_offset -y_pitch $y_pitch
  }
}

# few layers: cells are spread over the core, and farther apart where wires crowd; buffers that placement adds while it
# looks at timing are taken out again, for repair needs a fraction of them when the cells are in place
proc placement_options {} {
  set density [expr {min(0.05 + [gpl::get_global_placement_uniform_density], 0.99)}]
  list -density $density -timing_driven -keep_resize_below_overflow 0 -routability_driven
}

proc set_taps {} {
  tapcell -distance 14 -tapcell_master sky130_fd_sc_hd__tapvpwrvgnd_1
}

proc set_power_grid {} {
  foreach pin {^VPWR$ ^VPB$} { add_global_connection -net VDD -inst_pattern .* -pin_pattern $pin -power }
  foreach pin {^VGND$ ^VNB$} { add_global_connection -net VSS -inst_pattern .* -pin_pattern $pin -ground }
  global_connect
  set_voltage_domain -name CORE -power VDD -ground VSS
  define_pdn_grid -name grid -voltage_domains CORE -pins met5
  add_pdn_stripe -grid grid -layer met1 -width 0.48 -pitch 5.44 -offset 0 -followpins
  add_pdn_stripe -grid grid -layer met4 -width 1.6 -pitch 27.14 -offset 13.57
  add_pdn_stripe -grid grid -layer met5 -width 1.6 -pitch 27.2 -offset 13.6
  add_pdn_connect -grid grid -layers {met1 met4}
  add_pdn_connect -grid grid -layers {met4 met5}
}
