// PLL of an ECP5 with its own clock fed back (EHXPLLL in Lattice FPGA-TN-02200).
//
// PARAMETERS
//   CLKI_DIV, CLKFB_DIV   clk = oscillator * CLKFB_DIV / CLKI_DIV
//   CLKOP_DIV             of the oscillator inside, which runs at clk * CLKOP_DIV
//
// PORTS    locked: clk is steady; it belongs to clk
module ecp5_pll #(
    parameter int CLKI_DIV = 1,
    parameter int CLKFB_DIV = 2,
    parameter int CLKOP_DIV = 12
) (
    input  logic oscillator,
    output logic clk,
    output logic locked
);
    logic lock;
    logic [1:0] sampled = '0;
    assign locked = sampled[1];
    always_ff @(posedge clk) sampled <= {sampled[0], lock};
    // The analogue settings are those of all open designs; no document of Lattice's gives a formula.
    (* ICP_CURRENT = "12", LPF_RESISTOR = "8", MFG_ENABLE_FILTEROPAMP = "1", MFG_GMCREF_SEL = "2" *)
    EHXPLLL #(
        .CLKI_DIV(CLKI_DIV), .CLKFB_DIV(CLKFB_DIV), .CLKOP_DIV(CLKOP_DIV), .CLKOP_CPHASE((CLKOP_DIV + 1) / 2 - 1),
        .FEEDBK_PATH("CLKOP")
    ) pll (
        .CLKI(oscillator), .CLKFB(clk), .RST(1'b0), .STDBY(1'b0), .PHASESEL1(1'b0), .PHASESEL0(1'b0), .PHASEDIR(1'b1),
        .PHASESTEP(1'b1), .PHASELOADREG(1'b1), .PLLWAKESYNC(1'b0), .ENCLKOP(1'b0), .CLKOP(clk), .LOCK(lock)
    );
endmodule
