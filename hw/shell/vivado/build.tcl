# A bitstream for a board with a Zynq-7000: processing system, AXI DMA, the network between its streams.
#
#     vivado -mode batch -source build/vivado/build.tcl
#
# Unattended. Leaves network.bit and network.hwh, which PYNQ loads together, and reports in the folder that
# build_settings.tcl names. Exit codes: 0 done; 3 timing is not met, and no bitstream is written; 1 a step failed. The last
# line that begins with "codesign: stopped:" says why.
#
# Needs no board files: of the processing system it sets what follows below and in build_settings.tcl, and nothing else. No
# peripheral on pins of the processing system (UART, SD card, Ethernet, USB) is set up. On the PYNQ image the boot
# loader has done that, and the memory too; loading a bitstream changes the clock FCLK0 alone.
#
# Checked with a Tcl interpreter and stand-ins for Vivado's commands; not yet run with Vivado. For Vivado 2020.2 or
# later.

cd [file dirname [file dirname [file dirname [file normalize [info script]]]]]
source build/vivado/common.tcl
source build/vivado/build_settings.tcl
file mkdir $folder

# The newest version of one of AMD's cores in this release.
proc core {name cell {properties {}}} {
    set found [lsort -dictionary [get_ipdefs -all "xilinx.com:ip:${name}:*"]]
    if {[llength $found] == 0} {error "this Vivado has no core $name"}
    set made [create_bd_cell -type ip -vlnv [lindex $found end] $cell]
    if {[llength $properties] > 0} {set_property -dict $properties $made}
}

proc wire {from args} {
    foreach to $args {connect_bd_net [get_bd_pins $from] [get_bd_pins $to]}
}

proc bus {from to} {
    connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to]
}

proc map {space segment offset range} {
    assign_bd_address -offset $offset -range $range -target_address_space [get_bd_addr_spaces $space] \
        [get_bd_addr_segs $segment]
}

# Wait for a run of the project to end, and stop where it did not reach its end.
proc await {run} {
    wait_on_run $run
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
        error "[get_property STATUS [get_runs $run]], see the log of $run below [get_property DIRECTORY [get_runs $run]]"
    }
}

step "making the project" {
    create_project -force -part $part network $folder/project
    set_property target_language Verilog [current_project]
    add_files -norecurse [list {*}$sources $wrapper {*}$memories]
    update_compile_order -fileset sources_1
}

step "making the block design" {
    create_bd_design system
    core processing_system7 ps7 [list {*}$memory_controller \
        CONFIG.PCW_USE_M_AXI_GP0 1 \
        CONFIG.PCW_USE_S_AXI_HP0 1 \
        CONFIG.PCW_S_AXI_HP0_DATA_WIDTH 64 \
        CONFIG.PCW_USE_FABRIC_INTERRUPT 1 \
        CONFIG.PCW_IRQ_F2P_INTR 1 \
        CONFIG.PCW_EN_CLK0_PORT 1 \
        CONFIG.PCW_EN_RST0_PORT 1 \
        CONFIG.PCW_FPGA0_PERIPHERAL_FREQMHZ $clock_mhz]
    foreach {port vlnv} {
        DDR xilinx.com:interface:ddrx_rtl:1.0
        FIXED_IO xilinx.com:display_processing_system7:fixedio_rtl:1.0
    } {
        create_bd_intf_port -mode Master -vlnv $vlnv $port
        connect_bd_intf_net [get_bd_intf_ports $port] [get_bd_intf_pins ps7/$port]
    }

    # Register mode, without scatter and gather. 64 MiB less one byte is the longest transfer.
    core axi_dma dma [list \
        CONFIG.c_include_sg 0 \
        CONFIG.c_sg_include_stscntrl_strm 0 \
        CONFIG.c_sg_length_width 26 \
        CONFIG.c_include_mm2s 1 \
        CONFIG.c_include_s2mm 1 \
        CONFIG.c_m_axis_mm2s_tdata_width $in_bits \
        CONFIG.c_s_axis_s2mm_tdata_width $out_bits \
        CONFIG.c_m_axi_mm2s_data_width [expr {max(64, $in_bits)}] \
        CONFIG.c_m_axi_s2mm_data_width [expr {max(64, $out_bits)}]]
    create_bd_cell -type module -reference network_axi_stream network
    core proc_sys_reset reset
    core smartconnect control {CONFIG.NUM_SI 1 CONFIG.NUM_MI 3}
    core smartconnect memory {CONFIG.NUM_SI 2 CONFIG.NUM_MI 1}
    core axi_gpio frame_error {CONFIG.C_GPIO_WIDTH 1 CONFIG.C_ALL_INPUTS 1}
    # PYNQ wants an interrupt controller where there is more than one interrupt, at the first line.
    core xlconcat interrupts {CONFIG.NUM_PORTS 2}
    core axi_intc interrupt_controller {CONFIG.C_IRQ_CONNECTION 1}

    bus dma/M_AXIS_MM2S network/s_axis
    bus network/m_axis dma/S_AXIS_S2MM
    bus ps7/M_AXI_GP0 control/S00_AXI
    bus control/M00_AXI dma/S_AXI_LITE
    bus control/M01_AXI frame_error/S_AXI
    bus control/M02_AXI interrupt_controller/s_axi
    bus dma/M_AXI_MM2S memory/S00_AXI
    bus dma/M_AXI_S2MM memory/S01_AXI
    bus memory/M00_AXI ps7/S_AXI_HP0

    wire ps7/FCLK_CLK0 reset/slowest_sync_clk ps7/M_AXI_GP0_ACLK ps7/S_AXI_HP0_ACLK dma/s_axi_lite_aclk \
        dma/m_axi_mm2s_aclk dma/m_axi_s2mm_aclk network/aclk control/aclk memory/aclk frame_error/s_axi_aclk \
        interrupt_controller/s_axi_aclk
    wire ps7/FCLK_RESET0_N reset/ext_reset_in
    wire reset/peripheral_aresetn dma/axi_resetn network/aresetn control/aresetn memory/aresetn \
        frame_error/s_axi_aresetn interrupt_controller/s_axi_aresetn
    wire network/frame_error frame_error/gpio_io_i
    wire dma/mm2s_introut interrupts/In0
    wire dma/s2mm_introut interrupts/In1
    wire interrupts/dout interrupt_controller/intr
    wire interrupt_controller/irq ps7/IRQ_F2P

    map ps7/Data dma/S_AXI_LITE/Reg 0x40400000 64K
    map ps7/Data frame_error/S_AXI/Reg 0x41200000 64K
    map ps7/Data interrupt_controller/S_AXI/Reg 0x41800000 64K
    map dma/Data_MM2S ps7/S_AXI_HP0/HP0_DDR_LOWOCM 0x00000000 $memory_range
    map dma/Data_S2MM ps7/S_AXI_HP0/HP0_DDR_LOWOCM 0x00000000 $memory_range

    # The processing system divides its clock by whole numbers. Some releases take 100 MHz for the ports of a module
    # until they are told; where they pass the clock on by themselves, this changes nothing.
    set hz [get_property CONFIG.FREQ_HZ [get_bd_pins ps7/FCLK_CLK0]]
    puts "codesign: clock of the network: $hz Hz, wanted $clock_mhz MHz"
    foreach port {s_axis m_axis} {catch {set_property CONFIG.FREQ_HZ $hz [get_bd_intf_pins network/$port]}}
}

step "validating the block design" {
    validate_bd_design
    save_bd_design
}

step "generating the block design" {
    # Synthesised with the design, so that the memory files of the network are found among its sources.
    set_property synth_checkpoint_mode None [get_files system.bd]
    generate_target all [get_files system.bd]
    add_files -norecurse [make_wrapper -files [get_files system.bd] -top]
    set_property top system_wrapper [current_fileset]
    update_compile_order -fileset sources_1
}

step "synthesis" {
    set_property STEPS.SYNTH_DESIGN.ARGS.MAX_DSP $multiplier_blocks [get_runs synth_1]
    launch_runs synth_1
    await synth_1
    open_run synth_1
    report_utilization -file $folder/utilization_synth.rpt
    close_design
}

step "implementation" {
    launch_runs impl_1
    await impl_1
    open_run impl_1
}

step "reports" {set missed [report_routed $folder]}
if {$missed ne ""} {
    finish $folder
    stop 3 $missed
}

step "writing the bitstream" {
    write_bitstream -force $folder/network.bit
    set handoff [glob -nocomplain $folder/project/network.gen/sources_1/bd/system/hw_handoff/system.hwh]
    if {[llength $handoff] != 1} {error "Vivado left no hardware handoff file system.hwh below $folder/project"}
    file copy -force [lindex $handoff 0] $folder/network.hwh
    finish $folder
}
puts "codesign: done, the bitstream is $folder/network.bit"
exit 0
