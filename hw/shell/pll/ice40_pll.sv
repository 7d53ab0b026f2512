// PLL of an iCE40, fed by the pin beside it (SB_PLL40_PAD in Lattice FPGA-TN-02052).
//
// PARAMETERS
//   DIVR, DIVF, DIVQ   clk = oscillator * (DIVF + 1) / ((DIVR + 1) * 2^DIVQ)
//   FILTER_RANGE       of the loop filter, by the frequency of the phase detector
//
// PORTS    locked: clk is steady; it belongs to clk
module ice40_pll #(
    parameter logic [3:0] DIVR = 0,
    parameter logic [6:0] DIVF = 63,
    parameter logic [2:0] DIVQ = 5,
    parameter logic [2:0] FILTER_RANGE = 1
) (
    input  logic oscillator,
    output logic clk,
    output logic locked
);
    logic lock;
    logic [1:0] sampled = '0;
    assign locked = sampled[1];
    always_ff @(posedge clk) sampled <= {sampled[0], lock};
    SB_PLL40_PAD #(
        .FEEDBACK_PATH("SIMPLE"), .DIVR(DIVR), .DIVF(DIVF), .DIVQ(DIVQ), .FILTER_RANGE(FILTER_RANGE)
    ) pll (.PACKAGEPIN(oscillator), .RESETB(1'b1), .BYPASS(1'b0), .PLLOUTGLOBAL(clk), .LOCK(lock));
endmodule
