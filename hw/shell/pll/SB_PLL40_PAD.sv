// What the PLL of an iCE40 is for whoever reads it. Synthesis takes parameters and ports alone. In simulation its clock
// is that of its pin, whatever the dividers say, and it locks after some clocks.
module SB_PLL40_PAD #(
    parameter FEEDBACK_PATH = "SIMPLE",
    parameter logic [3:0] DIVR = 0,
    parameter logic [6:0] DIVF = 0,
    parameter logic [2:0] DIVQ = 0,
    parameter logic [2:0] FILTER_RANGE = 0
) (
    input  logic PACKAGEPIN,
    input  logic RESETB,
    input  logic BYPASS,
    output logic PLLOUTGLOBAL,
    output logic LOCK
);
    logic [5:0] count = '0;
    assign PLLOUTGLOBAL = PACKAGEPIN;
    assign LOCK = count == '1;
    always_ff @(posedge PACKAGEPIN) if (!LOCK) count <= count + 1'b1;
endmodule
