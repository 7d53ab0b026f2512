// An index for each frame beside its words: holds the words of a frame until its index has come.
//
// PARAMETERS
//   WIDTH    bits of a word
//   INDEX    bits of an index
//   WORDS    words of a frame
//
// PORTS    in: stream of words; index: stream of one index per frame; out: the words; entry: the index of the word
//          at out
//
// HANDSHAKE  in_ready depends on out_ready, out_valid on in_valid; index_ready depends on neither
// LATENCY    none for words, 2 clocks from an index to the first word of its frame
// THROUGHPUT one word per clock, and an index is taken early: no clock is lost between frames; an index every other
//            clock, which frames of one word feel
module frame_index #(
    parameter int WIDTH = 8,
    parameter int INDEX = 4,
    parameter int WORDS = 1
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [WIDTH-1:0] in_data,
    input  logic index_valid,
    output logic index_ready,
    input  logic [INDEX-1:0] index_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [WIDTH-1:0] out_data,
    output logic [INDEX-1:0] entry
);
    localparam int COUNT = $clog2(WORDS + 1);
    logic [COUNT-1:0] count;
    logic known, next_known;
    logic [INDEX-1:0] next_entry;
    wire step = in_valid && in_ready;
    wire last = step && count == COUNT'(WORDS - 1);
    assign out_valid = in_valid && known;
    assign in_ready = out_ready && known;
    assign out_data = in_data;
    // The index of the next frame waits behind that of this one.
    assign index_ready = !next_known;
    always_ff @(posedge clk) begin
        if (rst) begin
            count <= '0;
            {known, next_known} <= '0;
        end else begin
            if (step) count <= last ? '0 : count + 1'b1;
            known <= (known && !last) || next_known;
            next_known <= (next_known && known && !last) || (index_valid && index_ready);
        end
        if (!known || last) entry <= next_entry;
        if (index_valid && index_ready) next_entry <= index_data;
    end
endmodule
