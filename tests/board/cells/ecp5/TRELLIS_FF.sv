// Flip-flop of a slice of an ECP5 as nextpnr places it (Lattice FPGA-DS-02012, section 2.2): fed by its table (SD 1)
// or past it (SD 0). Behind configuration it holds what a reset would give it. Without asynchronous resets, which the
// shell does not have.
module TRELLIS_FF #(
    parameter GSR = "DISABLED",
    parameter CEMUX = "CE",
    parameter CLKMUX = "CLK",
    parameter LSRMUX = "LSR",
    parameter SRMODE = "LSR_OVER_CE",
    parameter REGSET = "RESET",
    parameter SD = "0"
) (
    input  logic CLK, LSR, CE, DI, M,
    output logic Q
);
    if (GSR != "DISABLED" || CLKMUX != "CLK" || LSRMUX != "LSR" || SRMODE != "LSR_OVER_CE")
        $fatal(1, "only rising edges and synchronous resets are modelled");
    wire enable = CEMUX == "1" || (CEMUX == "INV" ? !CE : CE);
    localparam bit SET = REGSET == "SET";
    initial Q = SET;
    always_ff @(posedge CLK) begin
        if (LSR) Q <= SET;
        else if (enable) Q <= SD == "1" ? DI : M;
    end
endmodule
