// Re-quantisation as in dyadic, by one of several sets of constants that an index chooses for each frame.
//
// PARAMETERS   as in dyadic, and
//   INDEX        bits of an index; every index is below ENTRIES
//   WORDS        words of a frame
//
// PORTS    in, out: streams; index: stream of one index per frame
//
// HANDSHAKE, LATENCY, THROUGHPUT   as in dyadic; the words of a frame wait for its index, which is taken early
module select_dyadic #(
    parameter int LANES = 1,
    parameter int X = 16,
    parameter bit X_SIGNED = 1,
    parameter int M = 16,
    parameter int C = 32,
    parameter int S = 5,
    parameter int WIDE = 32,
    parameter int Y = 8,
    parameter longint LOW = -128,
    parameter longint HIGH = 127,
    parameter int FOLD = 1,
    parameter int ENTRIES = 1,
    parameter CONSTANTS = "",
    parameter STYLE = "logic",
    parameter int INDEX = 1,
    parameter int WORDS = 1
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [LANES*X-1:0] in_data,
    input  logic index_valid,
    output logic index_ready,
    input  logic [INDEX-1:0] index_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*Y-1:0] out_data
);
    localparam int CHOICE = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
    logic word_valid, word_ready;
    logic [LANES*X-1:0] word_data;
    logic [INDEX-1:0] entry;
    frame_index #(.WIDTH(LANES*X), .INDEX(INDEX), .WORDS(WORDS)) gate
        (.clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
         .index_valid(index_valid), .index_ready(index_ready), .index_data(index_data),
         .out_valid(word_valid), .out_ready(word_ready), .out_data(word_data), .entry(entry));
    dyadic #(.LANES(LANES), .X(X), .X_SIGNED(X_SIGNED), .M(M), .C(C), .S(S), .WIDE(WIDE), .Y(Y), .LOW(LOW), .HIGH(HIGH), .FOLD(FOLD), .ENTRIES(ENTRIES), .CONSTANTS(CONSTANTS), .STYLE(STYLE)) requantise
        (.clk(clk), .rst(rst), .in_valid(word_valid), .in_ready(word_ready), .entry(CHOICE'(entry)),
         .in_data(word_data), .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data));
endmodule
