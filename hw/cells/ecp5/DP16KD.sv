// ECP5 block memory DP16KD, without output registers, as Yosys uses it. Simulation only.
//
// FPGA-TN-02204, ECP5 and ECP5-5G Memory User Guide: ports and attributes of DP16KD, write modes, byte enables in the
// lowest bits of the address. INITVAL_xx hold 16 words of 18 bits, each in 20 bits.
//
// With words of 36 bits port A writes and port B reads; the upper half of a word takes the pins of port B to write, the
// lower half those of port A to read. What is not modelled ends the compilation: output registers, chip selects other
// than 0, inverted clocks. Asynchronous resets and clocks that differ end the simulation.

`include "first_content.svh"

module DP16KD (
    input logic DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0,
    input logic ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    input logic CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output logic DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4,
    DOA3, DOA2, DOA1, DOA0,
    input logic DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
    DIB3, DIB2, DIB1, DIB0,
    input logic ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    input logic CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output logic DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4,
    DOB3, DOB2, DOB1, DOB0
);
    parameter int DATA_WIDTH_A = 18;
    parameter int DATA_WIDTH_B = 18;
    parameter REGMODE_A = "NOREG";
    parameter REGMODE_B = "NOREG";
    parameter RESETMODE = "SYNC";
    parameter ASYNC_RESET_RELEASE = "SYNC";
    parameter CSDECODE_A = "0b000";
    parameter CSDECODE_B = "0b000";
    parameter CLKAMUX = "CLKA";
    parameter CLKBMUX = "CLKB";
    parameter WRITEMODE_A = "NORMAL";
    parameter WRITEMODE_B = "NORMAL";
    parameter GSR = "ENABLED";
    `CONTENT_16(320, INITVAL_0)
    `CONTENT_16(320, INITVAL_1)
    `CONTENT_16(320, INITVAL_2)
    `CONTENT_16(320, INITVAL_3)

    localparam int MODE_A = WRITEMODE_A == "READBEFOREWRITE" ? 2 : WRITEMODE_A == "WRITETHROUGH" ? 1 : 0;
    localparam int MODE_B = WRITEMODE_B == "READBEFOREWRITE" ? 2 : WRITEMODE_B == "WRITETHROUGH" ? 1 : 0;

    generate
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CLKAMUX != "CLKA"
            || CLKBMUX != "CLKB" || CSDECODE_A != "0b000" || CSDECODE_B != "0b000") begin : refused
            $error("DP16KD: output registers, inverted clocks and chip selects are not modelled");
        end
    endgenerate

    wire [17:0] lower = {
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
        DIA2, DIA1, DIA0
    };
    wire [17:0] upper = {
        DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3,
        DIB2, DIB1, DIB0
    };
    wire [13:0] address_a = {
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
    };
    wire [13:0] address_b = {
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
    };
    wire [71:0] out_a, out_b;
    assign {
        DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3,
        DOA2, DOA1, DOA0
    } = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0
    } = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];

    block_memory #(
        .WIDTH_A(DATA_WIDTH_A),
        .WIDTH_B(DATA_WIDTH_B),
        .MODE_A(MODE_A),
        .MODE_B(MODE_B),
        .ENABLES(1'b1),
        .ASYNCHRONOUS(RESETMODE == "ASYNC"),
        .LAYOUT(20),
        .DATA({`VECTOR_16(INITVAL_3), `VECTOR_16(INITVAL_2), `VECTOR_16(INITVAL_1), `VECTOR_16(INITVAL_0)})
    ) memory (
        .clk_a(CLKA),
        .enable_a(CEA && {CSA2, CSA1, CSA0} == 3'b0),
        .reset_a(RSTA),
        .write_a(8'(WEA)),
        .address_a(address_a),
        .in_a(DATA_WIDTH_A == 36 ? 72'({upper, lower}) : 72'(lower)),
        .out_a(out_a),
        .clk_b(CLKB),
        .enable_b(CEB && {CSB2, CSB1, CSB0} == 3'b0),
        .reset_b(RSTB),
        .write_b(8'(WEB)),
        .address_b(address_b),
        .in_b(72'(upper)),
        .out_b(out_b)
    );
endmodule
