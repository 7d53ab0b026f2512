// Gowin block memory SDPB: one port to write, one to read. Simulation only.
//
// UG285, Gowin Block SRAM and SSRAM User Guide: ports and parameters of SDPB, write modes, byte enables in the
// lowest bits of the address, INIT_RAM_xx of 256 bits.
//
// What is not modelled ends the compilation: output registers, block selects other than 0.
// Asynchronous resets and clocks that differ end the simulation.

`include "first_content.svh"

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
    `CONTENT_16(256, INIT_RAM_0)
    `CONTENT_16(256, INIT_RAM_1)
    `CONTENT_16(256, INIT_RAM_2)
    `CONTENT_16(256, INIT_RAM_3)

    generate
        if (READ_MODE != 1'b0 || BLK_SEL_0 != 3'b000 || BLK_SEL_1 != 3'b000) begin : refused
            $error("SDPB: output registers and block selects are not modelled");
        end
    endgenerate

    wire [71:0] out, unused;
    assign DO = out[31:0];

    block_memory #(
        .BYTE(8),
        .WIDTH_A(BIT_WIDTH_0),
        .WIDTH_B(BIT_WIDTH_1),
        .ENABLES(1'b1),
        .ASYNCHRONOUS(RESET_MODE == "ASYNC"),
        .LAYOUT(8),
        .DATA({`VECTOR_16(INIT_RAM_3), `VECTOR_16(INIT_RAM_2), `VECTOR_16(INIT_RAM_1), `VECTOR_16(INIT_RAM_0)})
    ) memory (
        .clk_a(CLKA),
        .enable_a(CEA && BLKSELA == 3'b0),
        .reset_a(RESETA),
        // Port A has no pin that asks to write: it writes whenever it is enabled.
        .write_a(8'b1),
        .address_a(ADA),
        .in_a(72'(DI)),
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
