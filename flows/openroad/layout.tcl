# Place and route one netlist with OpenROAD: floorplan, placement, clock tree, routing, parasitics, figures.
# flows/openroad/__init__.py writes a file that sets the variables of `layout` and sources this one.
# What is particular to a process, wires, tracks, density, taps, power grid, is in openroad.tcl of its platform.

proc step {name} { puts "encmac step $name"; flush stdout }

proc read_design {} {
  global layout
  foreach file $layout(lef) { read_lef $file }
  read_liberty $layout(liberty)
  read_verilog $layout(netlist)
  link_design $layout(top)
  # values of a process are in the units of its library; from here on in those of the constraints
  set_wires
  set_cmd_units -time ns -capacitance pF
  read_sdc $layout(sdc)
}

proc floorplan {} {
  global layout
  initialize_floorplan -utilization $layout(utilization) -aspect_ratio $layout(aspect_ratio) -core_space 2 \
    -site $layout(site)
  set_tracks
  # constants need cells to come from, or detailed routing refuses them
  insert_tiecells $layout(tie_low)
  insert_tiecells $layout(tie_high)
  set_taps
  set_power_grid
  pdngen
}

# activations pass from left to right at the same heights, so that columns abut; weights come from above
proc pins {} {
  global layout
  foreach side {left right top bottom} {
    if {[llength $layout(pins_$side)]} { set_io_pin_constraint -region $side:* -pin_names $layout(pins_$side) }
  }
  if {[llength $layout(through)]} { set_io_pin_constraint -mirrored_pins $layout(through) }
  place_pins -hor_layers $layout(pin_layers_horizontal) -ver_layers $layout(pin_layers_vertical) \
    -min_distance 2 -min_distance_in_tracks
}

proc place {} {
  global layout
  global_placement -skip_io
  pins
  global_placement {*}[placement_options]
  foreach tie {tie_low tie_high} { repair_tie_fanout */$layout($tie) }
  estimate_parasitics -placement
  repair_design
  detailed_placement
}

proc clock_tree {} {
  global layout
  clock_tree_synthesis
  repair_clock_nets
  detailed_placement
  set_propagated_clock [all_clocks]
  # once more for what moving the cells has changed
  foreach round {1 2} {
    estimate_parasitics -placement
    repair_slack
    detailed_placement
  }
  check_placement -verbose
}

proc repair_slack {} {
  global layout
  repair_timing -setup -setup_margin $layout(margin)
  repair_timing -hold -hold_margin $layout(margin)
}

proc route {} {
  global layout
  set_routing_layers -signal $layout(signal_layers) -clock $layout(clock_layers)
  # guides that fill no layer leave detailed routing room for pins and vias
  set_global_routing_layer_adjustment $layout(signal_layers) $layout(unused_share)
  pin_access
  global_route
  # with the wires that are known now; what it moves is routed again, and nothing else
  estimate_parasitics -global_routing
  repair_slack
  global_route -start_incremental
  detailed_placement
  check_placement -verbose
  global_route -end_incremental
  # most antennas are found by the wires of global routes, the others by the real ones; a net that has many diodes and
  # is one still, as inputs whose driver is outside, gets more of them in every round, so that two are enough
  if {$layout(diode) ne ""} { repair_antennas $layout(diode) -iterations 5 }
  in_time
  route_wires
  if {$layout(diode) ne ""} {
    for {set round 1} {$round <= 2 && [check_antennas]} {incr round} {
      repair_antennas $layout(diode)
      route_wires
    }
  }
  check_antennas
  filler_placement $layout(fill)
}

proc route_wires {} {
  global layout
  step wires
  detailed_route -output_drc $layout(out)/drc.rpt -output_maze $layout(out)/maze.log -verbose 1
}

# detailed routing takes most of the time and mends no path; extraction may change a slack a little
proc in_time {} {
  global layout
  estimate_parasitics -global_routing
  set least [expr {$layout(extraction) eq "" ? 0 : -$layout(margin)}]
  foreach {check path} {setup -max hold -min} {
    set slack [worst_slack $path]
    if {$slack < $least} {
      puts [format {[ERROR] %s slack is %.4f ns with the wires of global routes} $check $slack]
      exit 1
    }
  }
}

proc extract {} {
  global layout
  if {$layout(extraction) ne ""} {
    extract_parasitics -ext_model_file $layout(extraction)
    write_spef $layout(out)/layout.spef
    read_spef $layout(out)/layout.spef
  } else {
    estimate_parasitics -global_routing -spef_file $layout(out)/layout.spef
  }
  write_def $layout(out)/layout.def
  write_db $layout(out)/layout.odb
  remove_physical_cells
  # with a diode go the parasitics of its net, but not those that were read
  if {$layout(diodes)} { read_spef $layout(out)/layout.spef }
  write_sdf -digits 5 $layout(out)/layout.sdf
  write_verilog $layout(out)/layout.v
}

# fill, taps and antenna diodes, which compute nothing and have no place in a netlist; a Liberty file may lack them
proc remove_physical_cells {} {
  global layout
  set layout(diodes) 0
  foreach cell [[ord::get_db_block] getInsts] {
    set signals 0
    if {[[$cell getMaster] getName] eq $layout(diode)} {
      incr layout(diodes)
    } else {
      foreach pin [[$cell getMaster] getMTerms] {
        if {[lsearch {POWER GROUND} [$pin getSigType]] < 0} { incr signals }
      }
    }
    if {!$signals} { odb::dbInst_destroy $cell }
  }
}

proc diode_um2 {} {
  global layout
  if {$layout(diode) eq ""} { return 0 }
  set cell [[ord::get_db] findMaster $layout(diode)]
  set scale [expr {1.0 / [[ord::get_db_block] getDbUnitsPerMicron]}]
  expr {[$cell getWidth] * $scale * [$cell getHeight] * $scale}
}

proc figures {} {
  global layout
  set block [ord::get_db_block]
  set core [$block getCoreArea]
  set scale [expr {1.0 / [$block getDbUnitsPerMicron]}]
  puts "encmac begin figures"
  puts "core [expr {([$core xMax] - [$core xMin]) * $scale}] [expr {([$core yMax] - [$core yMin]) * $scale}]"
  puts "diodes $layout(diodes) [diode_um2]"
  report_worst_slack -max -digits 4
  report_worst_slack -min -digits 4
  report_clock_latency -clock clock -digits 4
  puts "encmac end figures"
}

set_thread_count $layout(threads)
foreach part {read_design floorplan place clock_tree route extract figures} { step $part; $part }
exit
