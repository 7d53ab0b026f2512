# What build.tcl and out_of_context.tcl share. Checked with a Tcl interpreter and stand-ins for Vivado's commands; not
# yet run with Vivado.

# Do one step. When it fails, say which one and why in one sentence, and end with code 1.
proc step {title body} {
    puts "codesign: $title"
    if {[catch {uplevel 1 $body} reason]} {
        stop 1 "$title failed: [lindex [split $reason \n] 0]"
    }
}

proc stop {code sentence} {
    puts "codesign: stopped: $sentence"
    exit $code
}

# Worst slack over all paths, in ns; kind is -setup or -hold.
proc worst_slack {kind} {
    set path [get_timing_paths $kind -max_paths 1 -nworst 1]
    if {[llength $path] == 0} {error "no path has a clock"}
    set slack [get_property SLACK $path]
    if {![string is double -strict $slack]} {error "the slack is '$slack', which is no number"}
    return $slack
}

# Write the reports of a routed design. Returns a sentence when timing is not met, else nothing.
proc report_routed {folder} {
    report_utilization -file $folder/utilization.rpt
    # Node by node, for codesign calibrate --from-report.
    report_utilization -hierarchical -file $folder/utilization_by_node.rpt
    set summary [report_timing_summary -return_string]
    set file [open $folder/timing.rpt w]
    puts $file $summary
    close $file
    set setup [worst_slack -setup]
    set hold [worst_slack -hold]
    puts "codesign: worst slack: setup $setup ns, hold $hold ns"
    if {$setup < 0 || $hold < 0} {
        return "timing is not met: worst slack of setup $setup ns, of hold $hold ns; see $folder/timing.rpt"
    }
    # Vivado's own verdict, which counts pulse widths too.
    if {[string first "All user specified timing constraints are met" $summary] < 0} {
        return "timing is not met: see $folder/timing.rpt"
    }
    return ""
}

# Tell codesign that the results of a run are complete.
proc finish {folder} {
    close [open $folder/finished w]
}
