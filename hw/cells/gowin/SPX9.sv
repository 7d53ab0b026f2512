// Gowin block memory SPX9: one port. Simulation only.
//
// UG285, Gowin Block SRAM and SSRAM User Guide: ports and parameters of SPX9, write modes, byte enables in the
// lowest bits of the address, INIT_RAM_xx of 288 bits.
//
// What is not modelled ends the compilation: output registers, block selects other than 0.
// An asynchronous reset ends the simulation.

`include "first_content.svh"

module SPX9 (
    input  logic CLK,
    input  logic CE,
    input  logic OCE,
    input  logic RESET,
    input  logic WRE,
    input  logic [2:0] BLKSEL,
    input  logic [13:0] AD,
    input  logic [35:0] DI,
    output logic [35:0] DO
);
    parameter READ_MODE = 1'b0;
    parameter WRITE_MODE = 2'b00;
    parameter int BIT_WIDTH = 36;
    parameter BLK_SEL = 3'b000;
    parameter RESET_MODE = "SYNC";
    `CONTENT_16(288, INIT_RAM_0)
    `CONTENT_16(288, INIT_RAM_1)
    `CONTENT_16(288, INIT_RAM_2)
    `CONTENT_16(288, INIT_RAM_3)

    generate
        if (READ_MODE != 1'b0 || BLK_SEL != 3'b000) begin : refused
            $error("SPX9: output registers and block selects are not modelled");
        end
    endgenerate

    wire [71:0] out, unused;
    assign DO = out[35:0];

    block_memory #(
        .WIDTH_A(BIT_WIDTH),
        .WIDTH_B(0),
        .MODE_A(int'(WRITE_MODE)),
        .ENABLES(1'b1),
        .ASYNCHRONOUS(RESET_MODE == "ASYNC"),
        .LAYOUT(9),
        .DATA({`VECTOR_16(INIT_RAM_3), `VECTOR_16(INIT_RAM_2), `VECTOR_16(INIT_RAM_1), `VECTOR_16(INIT_RAM_0)})
    ) memory (
        .clk_a(CLK),
        .enable_a(CE && BLKSEL == 3'b0),
        .reset_a(RESET),
        .write_a(8'(WRE)),
        .address_a(AD),
        .in_a(72'(DI)),
        .out_a(out),
        .clk_b(1'b0),
        .enable_b(1'b0),
        .reset_b(1'b0),
        .write_b(8'b0),
        .address_b(14'b0),
        .in_b(72'b0),
        .out_b(unused)
    );
endmodule
