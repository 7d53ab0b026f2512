// Gowin block memory DPB: two ports. Simulation only.
//
// UG285, Gowin Block SRAM and SSRAM User Guide: ports and parameters of DPB, write modes, byte enables in the
// lowest bits of the address, INIT_RAM_xx of 256 bits.
//
// What is not modelled ends the compilation: output registers, block selects other than 0.
// Asynchronous resets and clocks that differ end the simulation.

`include "first_content.svh"

module DPB (
    input  logic CLKA,
    input  logic CEA,
    input  logic OCEA,
    input  logic RESETA,
    input  logic WREA,
    input  logic CLKB,
    input  logic CEB,
    input  logic OCEB,
    input  logic RESETB,
    input  logic WREB,
    input  logic [2:0] BLKSELA,
    input  logic [2:0] BLKSELB,
    input  logic [13:0] ADA,
    input  logic [13:0] ADB,
    input  logic [15:0] DIA,
    input  logic [15:0] DIB,
    output logic [15:0] DOA,
    output logic [15:0] DOB
);
    parameter READ_MODE0 = 1'b0;
    parameter READ_MODE1 = 1'b0;
    parameter WRITE_MODE0 = 2'b00;
    parameter WRITE_MODE1 = 2'b00;
    parameter int BIT_WIDTH_0 = 16;
    parameter int BIT_WIDTH_1 = 16;
    parameter BLK_SEL_0 = 3'b000;
    parameter BLK_SEL_1 = 3'b000;
    parameter RESET_MODE = "SYNC";
    `CONTENT_16(256, INIT_RAM_0)
    `CONTENT_16(256, INIT_RAM_1)
    `CONTENT_16(256, INIT_RAM_2)
    `CONTENT_16(256, INIT_RAM_3)

    generate
        if (READ_MODE0 != 1'b0 || READ_MODE1 != 1'b0 || BLK_SEL_0 != 3'b000 || BLK_SEL_1 != 3'b000) begin : refused
            $error("DPB: output registers and block selects are not modelled");
        end
    endgenerate

    wire [71:0] out_a, out_b;
    assign DOA = out_a[15:0];
    assign DOB = out_b[15:0];

    block_memory #(
        .BYTE(8),
        .WIDTH_A(BIT_WIDTH_0),
        .WIDTH_B(BIT_WIDTH_1),
        .MODE_A(int'(WRITE_MODE0)),
        .MODE_B(int'(WRITE_MODE1)),
        .ENABLES(1'b1),
        .ASYNCHRONOUS(RESET_MODE == "ASYNC"),
        .LAYOUT(8),
        .DATA({`VECTOR_16(INIT_RAM_3), `VECTOR_16(INIT_RAM_2), `VECTOR_16(INIT_RAM_1), `VECTOR_16(INIT_RAM_0)})
    ) memory (
        .clk_a(CLKA),
        .enable_a(CEA && BLKSELA == 3'b0),
        .reset_a(RESETA),
        .write_a(8'(WREA)),
        .address_a(ADA),
        .in_a(72'(DIA)),
        .out_a(out_a),
        .clk_b(CLKB),
        .enable_b(CEB && BLKSELB == 3'b0),
        .reset_b(RESETB),
        .write_b(8'(WREB)),
        .address_b(ADB),
        .in_b(72'(DIB)),
        .out_b(out_b)
    );
endmodule
