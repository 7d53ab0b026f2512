# The network alone, synthesised, placed and routed out of context: its size and its speed, without pins, processing
# system and DMA. Needs no board files.
#
#     vivado -mode batch -source build/vivado/out_of_context.tcl
#
# Reports go to the folder that out_of_context_settings.tcl names. Exit codes: 0 timing is met, 3 it is not, 1 a step failed; the last
# line that begins with "codesign: stopped:" says why.
#
# Checked with a Tcl interpreter and stand-ins for Vivado's commands; not yet run with Vivado. For Vivado 2020.2 or
# later.

cd [file dirname [file dirname [file dirname [file normalize [info script]]]]]
source build/vivado/common.tcl
source build/vivado/out_of_context_settings.tcl
file mkdir $folder

step "reading the sources" {
    read_verilog -sv $sources
    if {[llength $memories] > 0} {read_mem $memories}
    read_xdc -mode out_of_context build/vivado/clock.xdc
}
step "synthesis" {
    synth_design -top network -part $part -mode out_of_context -max_dsp $multiplier_blocks
    report_utilization -file $folder/utilization_synth.rpt
}
step "optimisation" {opt_design}
step "placement" {place_design}
step "physical optimisation" {phys_opt_design}
step "routing" {route_design}
step "reports" {
    set missed [report_routed $folder]
    write_checkpoint -force $folder/network.dcp
    finish $folder
}
if {$missed ne ""} {stop 3 $missed}
puts "codesign: done, the reports are in $folder"
exit 0
