# Place and route one netlist with OpenROAD: floorplan, placement, clock tree, routing, parasitics, figures.
# flows/openroad/__main__.py writes a file that sets the variables of `layout` and sources this one.
# What is particular to a process, wires, tracks, taps, power grid, is in openroad.tcl of its platform.

proc read_design {} {
  global layout
  foreach file $layout(lef) { read_lef $file }
  read_liberty $layout(liberty)
  read_verilog $layout(netlist)
  link_design $layout(top)
  read_sdc $layout(sdc)
}

proc floorplan {} {
  global layout
  set_wires
  initialize_floorplan -utilization $layout(utilization) -aspect_ratio 1 -core_space 2 -site $layout(site)
  set_tracks
  # constants need cells to come from, or detailed routing refuses them
  insert_tiecells $layout(tie_low)
  insert_tiecells $layout(tie_high)
  set_taps
  set_power_grid
  pdngen
}

proc place {} {
  global layout
  global_placement -skip_io
  place_pins -hor_layers $layout(pin_layer_horizontal) -ver_layers $layout(pin_layer_vertical)
  global_placement
  estimate_parasitics -placement
  repair_design
  detailed_placement
}

proc clock_tree {} {
  clock_tree_synthesis
  repair_clock_nets
  detailed_placement
  set_propagated_clock [all_clocks]
  estimate_parasitics -placement
  repair_timing -setup
  repair_timing -hold
  detailed_placement
  check_placement -verbose
}

proc route {} {
  global layout
  set_routing_layers -signal $layout(signal_layers) -clock $layout(clock_layers)
  pin_access
  global_route
  filler_placement $layout(fill)
  detailed_route -output_drc $layout(out)/drc.rpt -verbose 0
}

proc extract {} {
  global layout
  estimate_parasitics -global_routing
  write_def $layout(out)/layout.def
  write_verilog $layout(out)/layout.v
  write_sdf $layout(out)/layout.sdf
}

proc figures {} {
  global layout
  puts "encmac begin figures"
  report_design_area
  report_worst_slack -max
  report_worst_slack -min
  if {$layout(activity) ne ""} { read_vcd -scope $layout(scope) $layout(activity) }
  report_power
  puts "encmac end figures"
}

read_design
floorplan
place
clock_tree
route
extract
figures
exit
