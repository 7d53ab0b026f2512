// Logic cell of an iCE40 as nextpnr places it: carry, lookup table, flip-flop (Lattice FPGA-DS-02008, section 3.1.1).
//
// I0 selects the lowest address bit of the table. All flip-flops are 0 behind configuration. Without asynchronous
// resets, which the shell does not have.
module ICESTORM_LC #(
    parameter logic [15:0] LUT_INIT = '0,
    parameter bit NEG_CLK = 0,
    parameter bit CARRY_ENABLE = 0,
    parameter bit DFF_ENABLE = 0,
    parameter bit SET_NORESET = 0,
    parameter bit ASYNC_SR = 0,
    parameter bit CIN_CONST = 0,
    parameter bit CIN_SET = 0
) (
    input  logic I0, I1, I2, I3, CIN, CLK, CEN, SR,
    output logic LO, O, COUT
);
    if (NEG_CLK || ASYNC_SR) $fatal(1, "neither falling edges nor asynchronous resets are modelled");
    wire carry = CIN_CONST ? CIN_SET : CIN;
    assign COUT = CARRY_ENABLE && (I1 + I2 + carry > 2'd1);
    assign LO = LUT_INIT[{I3, I2, I1, I0}];
    generate
        if (DFF_ENABLE) begin : clocked
            logic q = 1'b0;
            always_ff @(posedge CLK) if (CEN) q <= SR ? SET_NORESET : LO;
            assign O = q;
        end else begin : direct
            assign O = LO;
        end
    endgenerate
endmodule
