// What the PLL of an ECP5 is for whoever reads it. Synthesis takes parameters and ports alone. In simulation its clock is
// that of its input, whatever the dividers say, and it locks after some clocks.
module EHXPLLL #(
    parameter int CLKI_DIV = 1,
    parameter int CLKFB_DIV = 1,
    parameter int CLKOP_DIV = 8,
    parameter int CLKOP_CPHASE = 0,
    parameter FEEDBK_PATH = "CLKOP"
) (
    input  logic CLKI, CLKFB, RST, STDBY, PHASESEL1, PHASESEL0, PHASEDIR, PHASESTEP, PHASELOADREG, PLLWAKESYNC, ENCLKOP,
    output logic CLKOP, LOCK
);
    logic [5:0] count = '0;
    assign CLKOP = CLKI;
    assign LOCK = count == '1;
    always_ff @(posedge CLKI) if (!LOCK) count <= count + 1'b1;
endmodule
