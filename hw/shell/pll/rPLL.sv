// What the PLL of a Gowin GW2A is for whoever reads it. Synthesis takes parameters and ports alone. In simulation its clock
// is that of its input, whatever the dividers say, and it locks after some clocks.
module rPLL #(
    parameter FCLKIN = "100.0",
    parameter int IDIV_SEL = 0,
    parameter int FBDIV_SEL = 0,
    parameter int ODIV_SEL = 8,
    parameter DEVICE = "GW2A-18C"
) (
    input  logic CLKIN, CLKFB, RESET, RESET_P,
    input  logic [5:0] FBDSEL, IDSEL, ODSEL,
    input  logic [3:0] PSDA, DUTYDA, FDLY,
    output logic CLKOUT, LOCK
);
    logic [5:0] count = '0;
    assign CLKOUT = CLKIN;
    assign LOCK = count == '1;
    always_ff @(posedge CLKIN) if (!LOCK) count <= count + 1'b1;
endmodule
