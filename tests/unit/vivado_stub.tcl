# Stands in for Vivado: runs a script with commands that check their arguments, keep a model of the block design, and
# write down every call. What it knows of pins and options was copied from AMD's documents by hand (UG835, PG021 and the
# guides of the other cores); it proves that a script is consistent with that, not that Vivado takes it.
#
# Environment: SETUP, HOLD (slacks), VERDICT, PROGRESS (of runs), FAIL (a command that fails), NO_CORE (one that is
# missing), UTILIZATION, TIMING (files with what the reports say).

proc setting {name default} {
    if {[info exists ::env($name)]} {return $::env($name)}
    return $default
}

# Define a command: options with a value, options without, least and most other arguments.
proc command {name valued flags least most body} {
    proc $name {args} [string map [list @NAME $name @VALUED $valued @FLAGS $flags @LEAST $least @MOST $most @BODY $body] {
        puts "CALL @NAME $args"
        set option [dict create]
        set rest {}
        for {set i 0} {$i < [llength $args]} {incr i} {
            set arg [lindex $args $i]
            if {$arg in {@VALUED}} {
                incr i
                if {$i >= [llength $args]} {error "@NAME: $arg lacks its value"}
                dict set option $arg [lindex $args $i]
            } elseif {$arg in {@FLAGS}} {
                dict set option $arg 1
            } elseif {[string match -* $arg]} {
                error "@NAME: unknown option $arg"
            } else {
                lappend rest $arg
            }
        }
        if {[llength $rest] < @LEAST || [llength $rest] > @MOST} {error "@NAME: wrong number of arguments: $rest"}
        if {[setting FAIL ""] eq "@NAME"} {error "ERROR: \[Stub 1-1\] @NAME failed on demand"}
        @BODY
    }]
}

proc content {variable default} {
    set name [setting $variable ""]
    if {$name eq ""} {return $default}
    set file [open $name]
    set text [read $file]
    close $file
    return $text
}

proc write {name text} {
    set file [open $name w]
    puts -nonewline $file $text
    close $file
}

proc need {files} {
    foreach file $files {if {![file isfile $file]} {error "there is no file $file"}}
}

# Cores: version; pins that must be connected; others; interfaces; properties.
set cores [dict create \
    processing_system7 {5.5 {M_AXI_GP0_ACLK S_AXI_HP0_ACLK IRQ_F2P} {FCLK_CLK0 FCLK_RESET0_N}
        {DDR FIXED_IO M_AXI_GP0 S_AXI_HP0} {PCW_*}} \
    axi_dma {7.1 {s_axi_lite_aclk m_axi_mm2s_aclk m_axi_s2mm_aclk axi_resetn} {mm2s_introut s2mm_introut}
        {S_AXI_LITE M_AXI_MM2S M_AXI_S2MM M_AXIS_MM2S S_AXIS_S2MM}
        {c_include_sg c_sg_include_stscntrl_strm c_sg_length_width c_include_mm2s c_include_s2mm
         c_m_axis_mm2s_tdata_width c_s_axis_s2mm_tdata_width c_m_axi_mm2s_data_width c_m_axi_s2mm_data_width}} \
    proc_sys_reset {5.0 {slowest_sync_clk ext_reset_in} {peripheral_aresetn} {} {}} \
    smartconnect {1.0 {aclk aresetn} {} {S00_AXI S01_AXI M00_AXI M01_AXI M02_AXI} {NUM_SI NUM_MI}} \
    axi_gpio {2.0 {s_axi_aclk s_axi_aresetn gpio_io_i} {} {S_AXI} {C_GPIO_WIDTH C_ALL_INPUTS}} \
    xlconcat {2.1 {In0 In1} {dout} {} {NUM_PORTS}} \
    axi_intc {4.1 {s_axi_aclk s_axi_aresetn intr} {irq} {s_axi} {C_IRQ_CONNECTION}}]
set module {{aclk aresetn} {frame_error} {s_axis m_axis}}
set cells [dict create]
set driven [dict create]
set joined [dict create]
set configured [dict create]

proc pin_kinds {cell} {
    set kind [dict get $::cells $cell]
    if {$kind eq "module"} {return $::module}
    return [lrange [dict get $::cores $kind] 1 3]
}

# A pin or an interface by its path; nothing where there is none, as Vivado has it.
proc lookup {path places} {
    lassign [split $path /] cell pin
    if {![dict exists $::cells $cell]} {return ""}
    foreach place $places {if {$pin in [lindex [pin_kinds $cell] $place]} {return $path}}
    return ""
}

command create_project {-part} {-force -in_memory} 2 2 {
    if {![regexp {^xc[0-9a-z-]+$} [dict get $option -part]]} {error "no part"}
    file mkdir [lindex $rest 1]
    set ::project [lindex $rest 1]/[lindex $rest 0]
}
command current_project {} {} 0 0 {return project}
command current_fileset {} {} 0 0 {return sources_1}
command add_files {} {-norecurse} 1 1 {need [lindex $rest 0]}
command update_compile_order {-fileset} {} 0 0 {}
command read_verilog {} {-sv} 1 1 {need [lindex $rest 0]}
command read_mem {} {} 1 1 {need [lindex $rest 0]}
command read_xdc {-mode} {} 1 1 {need $rest}
command get_files {} {} 1 1 {return $rest}
command get_ipdefs {} {-all} 1 1 {
    if {![regexp {^xilinx.com:ip:(\w+):\*$} [lindex $rest 0] _ name]} {error "no pattern of a core"}
    if {![dict exists $::cores $name] || $name eq [setting NO_CORE ""]} {return {}}
    # An older one too.
    return [list xilinx.com:ip:${name}:[lindex [dict get $::cores $name] 0] xilinx.com:ip:${name}:1.0]
}
command create_bd_design {} {} 1 1 {}
command create_bd_cell {-type -vlnv -reference} {} 1 1 {
    set cell [lindex $rest 0]
    if {[dict exists $::cells $cell]} {error "there is a cell $cell already"}
    if {[dict get $option -type] eq "module"} {
        if {[dict get $option -reference] ne "network_axi_stream"} {error "no module"}
        dict set ::cells $cell module
    } else {
        lassign [split [dict get $option -vlnv] :] _ _ name version
        if {$version ne [lindex [dict get $::cores $name] 0]} {error "not the newest version of $name: $version"}
        dict set ::cells $cell $name
    }
    return $cell
}
command create_bd_intf_port {-mode -vlnv} {} 1 1 {return $rest}
command get_bd_intf_ports {} {} 1 1 {return $rest}
command get_bd_pins {} {} 1 1 {lookup [lindex $rest 0] {0 1}}
command get_bd_intf_pins {} {} 1 1 {lookup [lindex $rest 0] 2}
command connect_bd_net {} {} 2 2 {
    foreach pin $rest {if {$pin eq ""} {error "a pin is not there"}}
    lassign $rest from to
    if {[dict exists $::driven $to]} {error "$to has two drivers"}
    dict set ::driven $to $from
}
command connect_bd_intf_net {} {} 2 2 {
    foreach pin $rest {
        if {$pin eq ""} {error "an interface is not there"}
        if {[dict exists $::joined $pin]} {error "$pin is joined twice"}
        dict set ::joined $pin 1
    }
}
command get_bd_addr_spaces {} {} 1 1 {
    if {$rest ni {ps7/Data dma/Data_MM2S dma/Data_S2MM}} {error "no address space $rest"}
    return $rest
}
command get_bd_addr_segs {} {} 1 1 {
    lassign [split [lindex $rest 0] /] cell interface
    if {![dict exists $::cells $cell]} {error "no cell $cell"}
    return $rest
}
command assign_bd_address {-offset -range -target_address_space} {} 1 1 {}
command validate_bd_design {} {} 0 0 {
    dict for {cell kind} $::cells {
        lassign [pin_kinds $cell] needed _ interfaces
        foreach pin $needed {if {![dict exists $::driven $cell/$pin]} {error "$cell/$pin is not connected"}}
        foreach port $interfaces {
            if {$kind eq "smartconnect"} {
                set side [string index $port 0]
                if {[string range $port 1 2] >= [dict get $::configured $cell CONFIG.NUM_${side}I]} continue
            }
            if {![dict exists $::joined $cell/$port]} {error "$cell/$port is not connected"}
        }
    }
}
command save_bd_design {} {} 0 0 {}
command generate_target {} {} 2 2 {
    set place $::project.gen/sources_1/bd/system/hw_handoff
    file mkdir $place
    write $place/system.hwh handoff
}
command make_wrapper {-files} {-top} 0 0 {
    write $::project.wrapper.v wrapper
    return $::project.wrapper.v
}
command set_property {-dict} {} 1 3 {
    if {![dict exists $option -dict]} {return}
    set cell [lindex $rest end]
    foreach {name value} [dict get $option -dict] {
        set known [lindex [dict get $::cores [dict get $::cells $cell]] 4]
        if {![regexp {^CONFIG\.(\w+)$} $name _ short]} {error "no property: $name"}
        if {[lsearch -glob $known $short] < 0 && $known ne "PCW_*"} {error "$cell has no property $name"}
        if {$known eq "PCW_*" && ![string match PCW_* $short]} {error "$cell has no property $name"}
        dict set ::configured $cell $name $value
    }
}
command get_property {} {} 2 2 {
    lassign $rest name object
    switch $name {
        CONFIG.FREQ_HZ {return 100000000}
        PROGRESS {return [setting PROGRESS 100%]}
        STATUS {return "place_design ERROR"}
        DIRECTORY {return $::project.runs/$object}
        SLACK {return [string range $object 5 end]}
    }
    error "no property $name"
}
command get_runs {} {} 1 1 {return $rest}
command launch_runs {-jobs -to_step} {} 1 1 {}
command wait_on_run {-timeout} {} 1 1 {}
command open_run {} {} 1 1 {}
command close_design {} {} 0 0 {}
command synth_design {-top -part -mode -max_dsp} {} 0 0 {}
command opt_design {} {} 0 0 {}
command place_design {} {} 0 0 {}
command phys_opt_design {} {} 0 0 {}
command route_design {} {} 0 0 {}
command report_utilization {-file} {-hierarchical} 0 0 {write [dict get $option -file] [content UTILIZATION "utilization\n"]}
command report_timing_summary {-file} {-return_string} 0 0 {
    return [content TIMING [setting VERDICT "All user specified timing constraints are met.\n"]]
}
command get_timing_paths {-max_paths -nworst} {-setup -hold} 0 0 {
    if {[dict exists $option -setup]} {set slack [setting SETUP 0.512]} else {set slack [setting HOLD 0.031]}
    if {$slack ne ""} {return path:$slack}
}
command write_checkpoint {} {-force} 1 1 {write [lindex $rest 0] checkpoint}
command write_bitstream {} {-force} 1 1 {write [lindex $rest 0] bits}

set arguments $argv
set argv {}
if {[lindex $arguments 0] eq "-version"} {
    puts "vivado v[setting VERSION 2023.2] (64-bit)"
    exit 0
}
if {[lrange $arguments 0 2] ne {-mode batch -source}} {
    puts "ERROR: \[Stub 1-2\] wrong arguments: $arguments"
    exit 2
}
source [lindex $arguments 3]
