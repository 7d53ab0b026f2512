// Matrix-vector unit without multipliers: distributed arithmetic, PLANES bits of every input at a time.
//
// With x the sum of its bits x_b 2^b, a dot product is the sum over b of 2^b (sum of w x_b). The inner sums come from
// a function of its own, made for the weights, that looks them up a few inputs at a time and adds: see the ports
// behind the streams. Bits come from the highest down, the accumulator is shifted in between. An output is constant +
// sum of w * x over FOLD_IN words of SIMD inputs; the words come again for each of TURNS = X / PLANES groups of
// bits, and all of that again for each of FOLD_OUT times PE outputs (`window_serial` and `window_parallel` with
// REPEAT = FOLD_OUT * TURNS send them so).
//
// PARAMETERS
//   PE, SIMD         outputs and inputs in parallel
//   X, X_SIGNED      bits of an input, and whether it is two's complement
//   PLANES           bits of an input taken at a time, a divisor of X
//   ACC              bits of an output, two's complement; it holds every final sum, partial ones may wrap
//   FOLD_IN          words of inputs of one output
//   FOLD_OUT         words of outputs until the weights begin anew
//   SUM              bits of an inner sum, which is never negative
//   DELAY            clocks of the function, 1 or more
//   CONSTANTS        file: FOLD_OUT * TURNS words of PE constants of ACC bits, in the lowest bits of which the
//                    accumulator, shifted, has room: the first of each TURNS is what it starts with
//
// A signed input is the unsigned one with its highest bit inverted, less 2^(X-1), which is in the constants; so are
// the least values of the looked-up sums.
//
// PORTS    in: stream of words of SIMD inputs; out: stream of words of PE outputs. To the function: `address`, the word
//          of weights, and `bits`, SIMD bits for each of PLANES planes, lowest plane first; from it, DELAY clocks of
//          `enable` later, `sums`, PE sums for each plane
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    DELAY + 2 clocks, one more with several planes, from the last word of an output to the output
// THROUGHPUT a word of inputs per clock
module mvau_planes #(
    parameter int PE = 1,
    parameter int SIMD = 1,
    parameter int X = 3,
    parameter bit X_SIGNED = 0,
    parameter int PLANES = 1,
    parameter int ACC = 16,
    parameter int FOLD_IN = 9,
    parameter int FOLD_OUT = 1,
    parameter int SUM = 8,
    parameter int DELAY = 1,
    parameter CONSTANTS = "",
    parameter int WORDS = FOLD_IN * FOLD_OUT,
    parameter int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [SIMD*X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [PE*ACC-1:0] out_data,
    output logic enable,
    output logic [ADDRESS-1:0] address,
    output logic [PLANES*SIMD-1:0] bits,
    input  logic [PLANES*PE*SUM-1:0] sums
);
    localparam int TURNS = X / PLANES;
    localparam int COUNT = FOLD_IN > 1 ? $clog2(FOLD_IN) : 1;
    localparam int TURN = TURNS > 1 ? $clog2(TURNS) : 1;
    localparam int CONSTANT_WORDS = FOLD_OUT * TURNS;
    localparam int CONSTANT = CONSTANT_WORDS > 1 ? $clog2(CONSTANT_WORDS) : 1;
    localparam int TOTAL = PLANES > 1 ? SUM + PLANES : SUM;
    localparam int DEPTH = DELAY + (PLANES > 1 ? 2 : 1);

    // All stages move together unless a finished output cannot leave.
    wire advance = !out_valid || out_ready;
    assign in_ready = advance;
    assign enable = advance;

    // Which weights and which bits the word at the door needs.
    logic [ADDRESS-1:0] next, base;
    logic [COUNT-1:0] count;
    logic [TURN-1:0] turn;
    wire step = in_valid && advance;
    wire last = count == COUNT'(FOLD_IN - 1);
    wire last_turn = turn == TURN'(TURNS - 1);
    wire last_word = next == ADDRESS'(WORDS - 1);
    always_ff @(posedge clk) begin
        if (rst) {next, base, count, turn} <= '0;
        else if (step) begin
            count <= last ? '0 : count + 1'b1;
            if (last) turn <= last_turn ? '0 : turn + 1'b1;
            if (last && last_turn) {next, base} <= last_word ? '0 : {2{ADDRESS'(next + 1'b1)}};
            else next <= last ? base : next + 1'b1;
        end
    end

    // Stage 1: the bits and their address. Then the function, the sum over planes, and the accumulators.
    logic [SIMD*X-1:0] flipped;
    logic [DEPTH-1:0] valid, opens, shifts, closes;
    generate
        for (genvar s = 0; s < SIMD; s++) begin : lane
            assign flipped[s*X+:X] = in_data[s*X+:X] ^ (X_SIGNED ? X'(1 << (X - 1)) : '0);
            for (genvar k = 0; k < PLANES; k++) begin : plane
                wire [TURNS-1:0] choices;
                for (genvar t = 0; t < TURNS; t++) begin : choice
                    assign choices[t] = flipped[s*X+(TURNS-1-t)*PLANES+k];
                end
                always_ff @(posedge clk) if (advance) bits[k*SIMD+s] <= TURNS > 1 ? choices[turn] : choices[0];
            end
        end
    endgenerate
    always_ff @(posedge clk) begin
        if (rst) valid <= '0;
        else if (advance) valid <= DEPTH'({valid, in_valid});
        if (advance) begin
            address <= next;
            opens <= DEPTH'({opens, count == '0 && turn == '0});
            shifts <= DEPTH'({shifts, count == '0});
            closes <= DEPTH'({closes, last && last_turn});
        end
    end

    // The constant of a turn is read when its first sum has come.
    logic [CONSTANT-1:0] constant_address;
    logic [PE*ACC-1:0] constants;
    wire shifting = valid[DEPTH-2] && shifts[DEPTH-2];
    always_ff @(posedge clk) begin
        if (rst) constant_address <= '0;
        else if (advance && shifting)
            constant_address <= constant_address == CONSTANT'(CONSTANT_WORDS - 1) ? '0 : constant_address + 1'b1;
    end
    rom #(.WIDTH(PE*ACC), .WORDS(CONSTANT_WORDS), .FILE(CONSTANTS), .STYLE("logic")) constant_rom
        (.clk(clk), .enable(advance && shifting), .address(constant_address), .data(constants));

    generate
        for (genvar p = 0; p < PE; p++) begin : element
            logic [TOTAL-1:0] total;
            if (PLANES == 1) begin : single
                assign total = sums[p*SUM+:SUM];
            end else begin : several
                for (genvar k = 0; k < PLANES; k++) begin : plane
                    // Kept, so that synthesis adds two at a time on the carry chain.
                    (* keep *) logic [TOTAL-1:0] so_far;
                    if (k == 0) begin : first
                        assign so_far = TOTAL'(sums[p*SUM+:SUM]);
                    end else begin : more
                        assign so_far = plane[k-1].so_far + (TOTAL'(sums[(k*PE+p)*SUM+:SUM]) << k);
                    end
                end
                always_ff @(posedge clk) if (advance) total <= plane[PLANES-1].so_far;
            end
            logic [ACC-1:0] accumulator, shifted;
            assign shifted = opens[DEPTH-1] ? '0 : shifts[DEPTH-1] ? accumulator << PLANES : accumulator;
            always_ff @(posedge clk) begin
                if (advance && valid[DEPTH-1])
                    accumulator <= (shifted | (shifts[DEPTH-1] ? constants[p*ACC+:ACC] : '0)) + ACC'(total);
            end
            assign out_data[p*ACC+:ACC] = accumulator;
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (rst) out_valid <= 1'b0;
        else if (advance) out_valid <= valid[DEPTH-1] && closes[DEPTH-1];
    end
endmodule
