// Gowin block memory SDPB: one port to write, one to read. Simulation only.
//
// UG285, Gowin Block SRAM and SSRAM User Guide: ports and parameters of SDPB, write modes, byte enables in the
// lowest bits of the address, INIT_RAM_xx of 256 bits.
//
// What is not modelled ends the compilation: output registers, block selects other than 0.
// Asynchronous resets and clocks that differ end the simulation.
module SDPB (
    input  logic CLKA,
    input  logic CEA,
    input  logic RESETA,
    input  logic CLKB,
    input  logic CEB,
    input  logic RESETB,
    input  logic OCE,
    input  logic [2:0] BLKSELA,
    input  logic [2:0] BLKSELB,
    input  logic [13:0] ADA,
    input  logic [13:0] ADB,
    input  logic [31:0] DI,
    output logic [31:0] DO
);
    parameter READ_MODE = 1'b0;
    parameter int BIT_WIDTH_0 = 32;
    parameter int BIT_WIDTH_1 = 32;
    parameter BLK_SEL_0 = 3'b000;
    parameter BLK_SEL_1 = 3'b000;
    parameter RESET_MODE = "SYNC";
    parameter logic [255:0] INIT_RAM_00 = '0;
    parameter logic [255:0] INIT_RAM_01 = '0;
    parameter logic [255:0] INIT_RAM_02 = '0;
    parameter logic [255:0] INIT_RAM_03 = '0;
    parameter logic [255:0] INIT_RAM_04 = '0;
    parameter logic [255:0] INIT_RAM_05 = '0;
    parameter logic [255:0] INIT_RAM_06 = '0;
    parameter logic [255:0] INIT_RAM_07 = '0;
    parameter logic [255:0] INIT_RAM_08 = '0;
    parameter logic [255:0] INIT_RAM_09 = '0;
    parameter logic [255:0] INIT_RAM_0A = '0;
    parameter logic [255:0] INIT_RAM_0B = '0;
    parameter logic [255:0] INIT_RAM_0C = '0;
    parameter logic [255:0] INIT_RAM_0D = '0;
    parameter logic [255:0] INIT_RAM_0E = '0;
    parameter logic [255:0] INIT_RAM_0F = '0;
    parameter logic [255:0] INIT_RAM_10 = '0;
    parameter logic [255:0] INIT_RAM_11 = '0;
    parameter logic [255:0] INIT_RAM_12 = '0;
    parameter logic [255:0] INIT_RAM_13 = '0;
    parameter logic [255:0] INIT_RAM_14 = '0;
    parameter logic [255:0] INIT_RAM_15 = '0;
    parameter logic [255:0] INIT_RAM_16 = '0;
    parameter logic [255:0] INIT_RAM_17 = '0;
    parameter logic [255:0] INIT_RAM_18 = '0;
    parameter logic [255:0] INIT_RAM_19 = '0;
    parameter logic [255:0] INIT_RAM_1A = '0;
    parameter logic [255:0] INIT_RAM_1B = '0;
    parameter logic [255:0] INIT_RAM_1C = '0;
    parameter logic [255:0] INIT_RAM_1D = '0;
    parameter logic [255:0] INIT_RAM_1E = '0;
    parameter logic [255:0] INIT_RAM_1F = '0;
    parameter logic [255:0] INIT_RAM_20 = '0;
    parameter logic [255:0] INIT_RAM_21 = '0;
    parameter logic [255:0] INIT_RAM_22 = '0;
    parameter logic [255:0] INIT_RAM_23 = '0;
    parameter logic [255:0] INIT_RAM_24 = '0;
    parameter logic [255:0] INIT_RAM_25 = '0;
    parameter logic [255:0] INIT_RAM_26 = '0;
    parameter logic [255:0] INIT_RAM_27 = '0;
    parameter logic [255:0] INIT_RAM_28 = '0;
    parameter logic [255:0] INIT_RAM_29 = '0;
    parameter logic [255:0] INIT_RAM_2A = '0;
    parameter logic [255:0] INIT_RAM_2B = '0;
    parameter logic [255:0] INIT_RAM_2C = '0;
    parameter logic [255:0] INIT_RAM_2D = '0;
    parameter logic [255:0] INIT_RAM_2E = '0;
    parameter logic [255:0] INIT_RAM_2F = '0;
    parameter logic [255:0] INIT_RAM_30 = '0;
    parameter logic [255:0] INIT_RAM_31 = '0;
    parameter logic [255:0] INIT_RAM_32 = '0;
    parameter logic [255:0] INIT_RAM_33 = '0;
    parameter logic [255:0] INIT_RAM_34 = '0;
    parameter logic [255:0] INIT_RAM_35 = '0;
    parameter logic [255:0] INIT_RAM_36 = '0;
    parameter logic [255:0] INIT_RAM_37 = '0;
    parameter logic [255:0] INIT_RAM_38 = '0;
    parameter logic [255:0] INIT_RAM_39 = '0;
    parameter logic [255:0] INIT_RAM_3A = '0;
    parameter logic [255:0] INIT_RAM_3B = '0;
    parameter logic [255:0] INIT_RAM_3C = '0;
    parameter logic [255:0] INIT_RAM_3D = '0;
    parameter logic [255:0] INIT_RAM_3E = '0;
    parameter logic [255:0] INIT_RAM_3F = '0;

    generate
        if (READ_MODE != 1'b0 || BLK_SEL_0 != 3'b000 || BLK_SEL_1 != 3'b000) begin : refused
            $error("SDPB: output registers and block selects are not modelled");
        end
    endgenerate

    // Words of two bytes and more have byte enables in place of the lowest bits of the address.
    function automatic logic [7:0] enables(int width, logic write, logic [3:0] address);
        if (!write) return '0;
        if (width >= 32) return 8'(address);
        if (width >= 16) return 8'(address[1:0]);
        return 8'b1;
    endfunction

    // Bytes of eight bits in those of the memory, which have nine.
    function automatic logic [71:0] spread(logic [31:0] data);
        spread = '0;
        for (int i = 0; i < 4; i++) spread[9*i+:8] = data[8*i+:8];
    endfunction

    function automatic logic [31:0] squeezed(logic [71:0] data);
        for (int i = 0; i < 4; i++) squeezed[8*i+:8] = data[9*i+:8];
    endfunction

    wire [71:0] out, unused;
    assign DO = squeezed(out);

    block_memory #(
        .WIDTH_A(BIT_WIDTH_0 < 8 ? BIT_WIDTH_0 : BIT_WIDTH_0 / 8 * 9),
        .WIDTH_B(BIT_WIDTH_1 < 8 ? BIT_WIDTH_1 : BIT_WIDTH_1 / 8 * 9),
        .ASYNCHRONOUS(RESET_MODE == "ASYNC"),
        .LAYOUT(8),
        .DATA({
            INIT_RAM_3F, INIT_RAM_3E, INIT_RAM_3D, INIT_RAM_3C, INIT_RAM_3B, INIT_RAM_3A, INIT_RAM_39, INIT_RAM_38,
            INIT_RAM_37, INIT_RAM_36, INIT_RAM_35, INIT_RAM_34, INIT_RAM_33, INIT_RAM_32, INIT_RAM_31, INIT_RAM_30,
            INIT_RAM_2F, INIT_RAM_2E, INIT_RAM_2D, INIT_RAM_2C, INIT_RAM_2B, INIT_RAM_2A, INIT_RAM_29, INIT_RAM_28,
            INIT_RAM_27, INIT_RAM_26, INIT_RAM_25, INIT_RAM_24, INIT_RAM_23, INIT_RAM_22, INIT_RAM_21, INIT_RAM_20,
            INIT_RAM_1F, INIT_RAM_1E, INIT_RAM_1D, INIT_RAM_1C, INIT_RAM_1B, INIT_RAM_1A, INIT_RAM_19, INIT_RAM_18,
            INIT_RAM_17, INIT_RAM_16, INIT_RAM_15, INIT_RAM_14, INIT_RAM_13, INIT_RAM_12, INIT_RAM_11, INIT_RAM_10,
            INIT_RAM_0F, INIT_RAM_0E, INIT_RAM_0D, INIT_RAM_0C, INIT_RAM_0B, INIT_RAM_0A, INIT_RAM_09, INIT_RAM_08,
            INIT_RAM_07, INIT_RAM_06, INIT_RAM_05, INIT_RAM_04, INIT_RAM_03, INIT_RAM_02, INIT_RAM_01, INIT_RAM_00
        })
    ) memory (
        .clk_a(CLKA),
        .enable_a(CEA && BLKSELA == 3'b0),
        .reset_a(RESETA),
        // Port A has no pin that asks to write: it writes whenever it is enabled.
        .write_a(enables(BIT_WIDTH_0, 1'b1, ADA[3:0])),
        .address_a(ADA),
        .in_a(spread(DI)),
        .out_a(unused),
        .clk_b(CLKB),
        .enable_b(CEB && BLKSELB == 3'b0),
        .reset_b(RESETB),
        .write_b(8'b0),
        .address_b(ADB),
        .in_b(72'b0),
        .out_b(out)
    );
endmodule
