// 7 series block memory RAMB36E1, without output registers, as Yosys uses it. Simulation only.
//
// UG473, 7 Series FPGAs Memory Resources: ports and attributes of RAMB36E1, write modes, simple dual port mode;
// UG953, Vivado Design Suite 7 Series FPGA Libraries Guide: INIT_xx hold eight bits of each byte, INITP_xx the ninth.
//
// In simple dual port mode port A reads and port B writes; words of 72 bits take the pins of both ports. What
// is not modelled ends the compilation: output registers, cascades, different widths to read and to write of one
// port, inverted pins. Clocks that differ end the simulation.

`include "first_content.svh"

module RAMB36E1 (
    input  logic CLKARDCLK,
    input  logic CLKBWRCLK,
    input  logic ENARDEN,
    input  logic ENBWREN,
    input  logic REGCEAREGCE,
    input  logic REGCEB,
    input  logic RSTRAMARSTRAM,
    input  logic RSTRAMB,
    input  logic RSTREGARSTREG,
    input  logic RSTREGB,
    input  logic [15:0] ADDRARDADDR,
    input  logic [15:0] ADDRBWRADDR,
    input  logic [31:0] DIADI,
    input  logic [31:0] DIBDI,
    input  logic [3:0] DIPADIP,
    input  logic [3:0] DIPBDIP,
    input  logic [3:0] WEA,
    input  logic [7:0] WEBWE,
    output logic [31:0] DOADO,
    output logic [31:0] DOBDO,
    output logic [3:0] DOPADOP,
    output logic [3:0] DOPBDOP
);
    parameter int DOA_REG = 0;
    parameter int DOB_REG = 0;
    parameter RAM_MODE = "TDP";
    parameter RAM_EXTENSION_A = "NONE";
    parameter RAM_EXTENSION_B = "NONE";
    parameter int READ_WIDTH_A = 0;
    parameter int READ_WIDTH_B = 0;
    parameter int WRITE_WIDTH_A = 0;
    parameter int WRITE_WIDTH_B = 0;
    parameter WRITE_MODE_A = "WRITE_FIRST";
    parameter WRITE_MODE_B = "WRITE_FIRST";
    // Yosys writes them wider than they are.
    parameter logic [71:0] INIT_A = '0;
    parameter logic [71:0] INIT_B = '0;
    parameter logic [71:0] SRVAL_A = '0;
    parameter logic [71:0] SRVAL_B = '0;
    `CONTENT_16(256, INIT_0)
    `CONTENT_16(256, INIT_1)
    `CONTENT_16(256, INIT_2)
    `CONTENT_16(256, INIT_3)
    `CONTENT_16(256, INIT_4)
    `CONTENT_16(256, INIT_5)
    `CONTENT_16(256, INIT_6)
    `CONTENT_16(256, INIT_7)
    `CONTENT_16(256, INITP_0)

    generate
        if (DOA_REG != 0 || DOB_REG != 0 || RAM_EXTENSION_A != "NONE" || RAM_EXTENSION_B != "NONE") begin : refused
            $error("RAMB36E1: output registers and cascades are not modelled");
        end
    endgenerate

    block_ram #(
        .PINS(4),
        .SIMPLE(RAM_MODE == "SDP"),
        .READ_WIDTH_A(READ_WIDTH_A),
        .READ_WIDTH_B(READ_WIDTH_B),
        .WRITE_WIDTH_A(WRITE_WIDTH_A),
        .WRITE_WIDTH_B(WRITE_WIDTH_B),
        .MODE_A(WRITE_MODE_A == "READ_FIRST" ? 2 : WRITE_MODE_A == "WRITE_FIRST" ? 1 : 0),
        .MODE_B(WRITE_MODE_B == "READ_FIRST" ? 2 : WRITE_MODE_B == "WRITE_FIRST" ? 1 : 0),
        .START_A(INIT_A),
        .START_B(INIT_B),
        .RESET_A(SRVAL_A),
        .RESET_B(SRVAL_B),
        .DATA({
            `VECTOR_16(INIT_7), `VECTOR_16(INIT_6), `VECTOR_16(INIT_5), `VECTOR_16(INIT_4),
            `VECTOR_16(INIT_3), `VECTOR_16(INIT_2), `VECTOR_16(INIT_1), `VECTOR_16(INIT_0)
        }),
        .NINTH({`VECTOR_16(INITP_0)})
    ) memory (
        .address_a(ADDRARDADDR[14:0]),
        .address_b(ADDRBWRADDR[14:0]),
        .*
    );
endmodule
