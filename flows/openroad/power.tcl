# Power of a routed design, its clock tree included, from the transitions of a workload.
# flows/openroad/__init__.py writes a file that sets the variables of `layout` and sources this one.

read_db $layout(out)/layout.odb
read_liberty $layout(liberty)
set_cmd_units -time ns -capacitance pF
read_sdc $layout(sdc)
set_propagated_clock [all_clocks]
read_spef $layout(out)/layout.spef
read_saif -scope $layout(top) $layout(saif)
puts "encmac begin power"
report_power -digits 8
puts "encmac end power"
exit
