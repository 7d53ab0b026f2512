// PLL of a Gowin GW2A (rPLL in Gowin UG286).
//
// PARAMETERS
//   FCLKIN                MHz of the oscillator
//   IDIV_SEL, FBDIV_SEL   clk = oscillator * (FBDIV_SEL + 1) / (IDIV_SEL + 1)
//   ODIV_SEL              of the oscillator inside, which runs at clk * ODIV_SEL
//
// PORTS    locked: clk is steady; it belongs to clk
module gowin_pll #(
    parameter FCLKIN = "27",
    parameter int IDIV_SEL = 0,
    parameter int FBDIV_SEL = 1,
    parameter int ODIV_SEL = 16
) (
    input  logic oscillator,
    output logic clk,
    output logic locked
);
    logic lock;
    logic [1:0] sampled = '0;
    assign locked = sampled[1];
    always_ff @(posedge clk) sampled <= {sampled[0], lock};
    rPLL #(
        .FCLKIN(FCLKIN), .IDIV_SEL(IDIV_SEL), .FBDIV_SEL(FBDIV_SEL), .ODIV_SEL(ODIV_SEL), .DEVICE("GW2A-18C")
    ) pll (
        .CLKIN(oscillator), .CLKFB(1'b0), .RESET(1'b0), .RESET_P(1'b0), .FBDSEL(6'b0), .IDSEL(6'b0), .ODSEL(6'b0),
        .PSDA(4'b0), .DUTYDA(4'b0), .FDLY(4'b0), .CLKOUT(clk), .LOCK(lock)
    );
endmodule
