// One step of a re-quantisation by binary search: compares with the threshold in the middle of what is left, which
// gives the next bit of the number of thresholds reached. As many of these in a row as a number has bits do what
// threshold does, with one comparison for each bit instead of one for each threshold.
//
// PARAMETERS
//   LANES        elements in a word
//   X, X_SIGNED  bits of an element's value, and whether it is two's complement
//   T            bits of a threshold, two's complement: every value fits as well
//   STAGE        bits of the number that are known: 0 in the first step
//   LAST         1: the word that leaves has OFFSET + number in Y bits for each lane, and nothing else
//   OFFSET, Y    where LAST is 1
//   FOLD         words until the thresholds begin anew: channels / LANES, or 1 where one row serves all
//   THRESHOLDS   file of FOLD * ROUND * 2**STAGE words, ROUND the next power of two from LANES on: the thresholds of
//                lane i in word w begin at word (w * ROUND + i) << STAGE, one for each number so far
//   STYLE        memory of the thresholds, see rom
//
// PORTS    in, out: streams; lane i has {number so far, value}, in bits [i*(STAGE+X) +: STAGE+X] on the way in and
//          [i*(STAGE+1+X) +: STAGE+1+X] on the way out
//
// HANDSHAKE  in_ready depends on out_ready; out_valid comes from a register, out_data from registers through the
//            comparison
// LATENCY    1 clock
// THROUGHPUT one word per clock
module threshold_stage #(
    parameter int LANES = 1,
    parameter int X = 8,
    parameter bit X_SIGNED = 1,
    parameter int T = 8,
    parameter int STAGE = 0,
    parameter bit LAST = 0,
    parameter longint OFFSET = 0,
    parameter int Y = 3,
    parameter int FOLD = 1,
    parameter THRESHOLDS = "",
    parameter STYLE = "logic",
    parameter int IN = STAGE + X,
    parameter int OUT = LAST ? Y : STAGE + 1 + X
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [LANES*IN-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*OUT-1:0] out_data
);
    localparam int LANE = $clog2(LANES);
    localparam int WORDS = FOLD << (LANE + STAGE);
    localparam int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam int WORD = FOLD > 1 ? $clog2(FOLD) : 1;
    wire advance = !out_valid || out_ready;
    assign in_ready = advance;

    logic [WORD-1:0] word;
    always_ff @(posedge clk) begin
        if (rst) begin
            word <= '0;
            out_valid <= 1'b0;
        end else if (advance) begin
            if (in_valid) word <= word == WORD'(FOLD - 1) ? '0 : word + 1'b1;
            out_valid <= in_valid;
        end
    end

    generate
        for (genvar i = 0; i < LANES; i++) begin : lane
            logic [IN-1:0] kept;
            logic [ADDRESS-1:0] address;
            logic [T-1:0] threshold;
            logic signed [T-1:0] value;
            wire reached = value >= $signed(threshold);
            always_ff @(posedge clk) if (advance) kept <= in_data[i*IN+:IN];
            rom #(.WIDTH(T), .WORDS(WORDS), .FILE(THRESHOLDS), .STYLE(STYLE)) table_rom
                (.clk(clk), .enable(advance), .address(address), .data(threshold));
            if (X_SIGNED) begin : two
                assign value = T'($signed(kept[X-1:0]));
            end else begin : magnitude
                assign value = T'(kept[X-1:0]);
            end
            logic [STAGE:0] number;
            if (STAGE == 0) begin : first
                assign address = (ADDRESS'(word) << LANE) | ADDRESS'(i);
                assign number = reached;
            end else begin : next
                assign address = (ADDRESS'(word) << (LANE + STAGE)) | (ADDRESS'(i) << STAGE)
                    | ADDRESS'(in_data[i*IN+X+:STAGE]);
                assign number = {kept[X+:STAGE], reached};
            end
            if (LAST) begin : last
                assign out_data[i*OUT+:OUT] = Y'(OFFSET) + Y'(number);
            end else begin : more
                assign out_data[i*OUT+:OUT] = {number, kept[X-1:0]};
            end
        end
    endgenerate
endmodule
