// In the place of hw/rtl/rom.sv: constants that may be any, so that what is proved holds for all weights, biases
// and thresholds. Parameters, ports and latency are those of rom; FILE and STYLE do not matter.
module rom #(
    parameter int WIDTH = 8,
    parameter int WORDS = 2,
    parameter FILE = "",
    parameter STYLE = "logic",
    parameter int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic clk,
    input  logic enable,
    input  logic [ADDRESS-1:0] address,
    output logic [WIDTH-1:0] data
);
    // Registers that start anyhow and never change. An undriven net would be free in every clock.
    logic [WORDS-1:0][WIDTH-1:0] words;
    always_ff @(posedge clk) begin
        words <= words;
        if (enable) data <= words[address];
    end
endmodule
