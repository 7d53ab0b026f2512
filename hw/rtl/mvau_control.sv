// What matrix-vector units have in common: the handshake, and which weights and biases a word needs on its way.
//
// A unit takes a word of inputs per clock, reads the weights of that word, and adds up FOLD_IN words for an output;
// weights and biases begin anew after FOLD_OUT outputs. All of its stages move together, unless a finished output
// cannot leave.
//
// PARAMETERS
//   FOLD_IN   words of inputs of one output
//   FOLD_OUT  words of outputs until the weights begin anew
//   DEPTH     stages of the unit before its accumulators, 2 or more: stage 0 holds inputs and weights
//   WORDS, ADDRESS, TURN   words of weights, bits of the number of a word and of an output: they follow, leave them
//
// PORTS    advance: the stages move; address: the weights of the word at the door, to be read with `advance`;
//          opening, turn: the bias of an output is to be read, and which one, so that it is there one clock later;
//          adding: what comes from the last stage goes into the accumulators; open: it is the first of an output
//
// HANDSHAKE  in_ready depends on out_ready; out_valid comes from a register
module mvau_control #(
    parameter int FOLD_IN = 9,
    parameter int FOLD_OUT = 1,
    parameter int DEPTH = 2,
    parameter int WORDS = FOLD_IN * FOLD_OUT,
    parameter int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1,
    parameter int TURN = FOLD_OUT > 1 ? $clog2(FOLD_OUT) : 1
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    output logic out_valid,
    input  logic out_ready,
    output logic advance,
    output logic [ADDRESS-1:0] address,
    output logic opening,
    output logic [TURN-1:0] turn,
    output logic adding,
    output logic open
);
    localparam int COUNT = $clog2(FOLD_IN + 1);

    assign advance = !out_valid || out_ready;
    assign in_ready = advance;

    // The word at the door: its place in an output, and the place of that among the outputs.
    logic [COUNT-1:0] count;
    logic [TURN-1:0] next_turn;
    wire step = in_valid && advance;
    wire last = count == COUNT'(FOLD_IN - 1);
    wire last_turn = next_turn == TURN'(FOLD_OUT - 1);
    always_ff @(posedge clk) begin
        if (rst) {address, count, next_turn} <= '0;
        else if (step) begin
            address <= last && last_turn ? '0 : address + 1'b1;
            count <= last ? '0 : count + 1'b1;
            if (last) next_turn <= last_turn ? '0 : next_turn + 1'b1;
        end
    end

    // Along the stages: whether there is a word, and whether it opens and closes an output.
    logic [DEPTH-1:0] valid, opens, closes;
    always_ff @(posedge clk) begin
        if (rst) valid <= '0;
        else if (advance) valid <= DEPTH'({valid, in_valid});
        if (advance) begin
            opens <= DEPTH'({opens, count == '0});
            closes <= DEPTH'({closes, last});
        end
    end
    assign adding = advance && valid[DEPTH-1];
    assign open = opens[DEPTH-1];

    // The bias is read when a word that opens an output passes the stage before the last.
    assign opening = advance && valid[DEPTH-2] && opens[DEPTH-2];
    always_ff @(posedge clk) begin
        if (rst) turn <= '0;
        else if (opening) turn <= turn == TURN'(FOLD_OUT - 1) ? '0 : turn + 1'b1;
    end

    always_ff @(posedge clk) begin
        if (rst) out_valid <= 1'b0;
        else if (advance) out_valid <= valid[DEPTH-1] && closes[DEPTH-1];
    end
endmodule
