// Matrix-vector unit for weights that are powers of two times one or two constants (POT, POST): shifts, no multiplier.
//
// A weight is 0, or FIRST * 2^k or SECOND * 2^k with either sign. Inputs are shifted by k and added to one sum for
// FIRST, one for SECOND; an output is FIRST * (one sum) + SECOND * (the other), which is worked out once. An input
// enters the sum of a negative weight as its complement: C - v instead of -v, where C is 2^E - 1 for the E bits of a
// term, or -1 for signed inputs. What that is too much is taken off what the sums start with beforehand. FOLD_OUT times
// PE outputs make a vector; the words of inputs come again for each of the FOLD_OUT (`window_serial` with REPEAT =
// FOLD_OUT sends them so).
//
// PARAMETERS
//   PE, SIMD         outputs and inputs in parallel
//   X, X_SIGNED      bits of an input, and whether it is two's complement
//   K                bits of a shift, 1 or more
//   MOST_A, MOST_B   greatest shifts into the first and the second sum; MOST_B = -1 where there is no second sum
//   ZERO             shift and, above it, the bit for the second sum, which together are the weight 0
//   FIRST, SECOND    constants, above 0
//   SUM_A, SUM_B     bits of the sums, two's complement; they hold every final sum, partial ones may wrap
//   ACC              bits of an output, two's complement; it holds every one
//   FOLD_IN          words of inputs of one output
//   FOLD_OUT         words of outputs until the weights begin anew
//   STEP             levels of adders between registers
//   WEIGHTS, STARTS  files: FOLD_OUT * FOLD_IN words of PE * SIMD codes of K + 2 bits, {negative, second, shift}, code
//                    (p, s) in bits [(p*SIMD + s)*(K+2) +: K+2], and FOLD_OUT words of PE pairs {start of the second
//                    sum, start of the first}
//   STYLE            memory of the weights, see rom
//
// PORTS    in: stream of words of SIMD inputs; out: stream of words of PE outputs
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    4 clocks and those of the tree, from the last word of an output to the output
// THROUGHPUT a word of inputs per clock
module mvau_shift #(
    parameter int PE = 1,
    parameter int SIMD = 1,
    parameter int X = 4,
    parameter bit X_SIGNED = 0,
    parameter int K = 2,
    parameter int MOST_A = 3,
    parameter int MOST_B = 2,
    parameter int ZERO = 7,
    parameter int FIRST = 128,
    parameter int SECOND = 181,
    parameter int SUM_A = 16,
    parameter int SUM_B = 16,
    parameter int ACC = 24,
    parameter int FOLD_IN = 9,
    parameter int FOLD_OUT = 1,
    parameter int STEP = 2,
    parameter WEIGHTS = "",
    parameter STARTS = "",
    parameter STYLE = "logic"
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [SIMD*X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [PE*ACC-1:0] out_data
);
    localparam int WORDS = FOLD_IN * FOLD_OUT;
    localparam int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam int TURN = FOLD_OUT > 1 ? $clog2(FOLD_OUT) : 1;
    localparam int CODE = K + 2;
    localparam int START = SUM_A + SUM_B;
    localparam int SUMS = MOST_B < 0 ? 1 : 2;
    localparam int TREE = $clog2(SIMD) / STEP;

    // Stage 0: inputs and weights. Then terms in a register, the trees, and the accumulators; outputs behind them.
    logic advance, opening, adding, open, summed, take;
    logic [ADDRESS-1:0] address;
    logic [TURN-1:0] turn;
    mvau_control #(.FOLD_IN(FOLD_IN), .FOLD_OUT(FOLD_OUT), .DEPTH(TREE + 2)) control
        (.*, .out_valid(summed), .out_ready(take));
    logic [SIMD*X-1:0] x;
    logic [PE*SIMD*CODE-1:0] weights;
    logic [PE*START-1:0] starts;
    rom #(.WIDTH(PE*SIMD*CODE), .WORDS(WORDS), .FILE(WEIGHTS), .STYLE(STYLE)) weight_rom
        (.clk(clk), .enable(advance), .address(address), .data(weights));
    rom #(.WIDTH(PE*START), .WORDS(FOLD_OUT), .FILE(STARTS), .STYLE("logic")) start_rom
        (.clk(clk), .enable(opening), .address(turn), .data(starts));
    always_ff @(posedge clk) if (advance) x <= in_data;

    assign take = !out_valid || out_ready;
    always_ff @(posedge clk) begin
        if (rst) out_valid <= 1'b0;
        else if (take) out_valid <= summed;
    end

    generate
        for (genvar p = 0; p < PE; p++) begin : element
            for (genvar j = 0; j < SUMS; j++) begin : part
                localparam int TERM = X + (j == 0 ? MOST_A : MOST_B);
                localparam int BITS = j == 0 ? SUM_A : SUM_B;
                localparam int FACTOR = j == 0 ? FIRST : SECOND;
                logic [SIMD*TERM-1:0] made, terms;
                logic [TERM+$clog2(SIMD)-1:0] sum;
                for (genvar s = 0; s < SIMD; s++) begin : product
                    logic [K-1:0] shift;
                    logic second, negative, mine;
                    logic [TERM-1:0] value, shifted;
                    assign {negative, second, shift} = weights[(p*SIMD+s)*CODE+:CODE];
                    assign mine = second == (j == 1) && {second, shift} != (K+1)'(ZERO);
                    if (X_SIGNED) begin : two
                        assign value = TERM'($signed(x[s*X+:X]));
                    end else begin : magnitude
                        assign value = TERM'(x[s*X+:X]);
                    end
                    assign shifted = value << shift;
                    assign made[s*TERM+:TERM] = (shifted ^ {TERM{negative}}) & {TERM{mine}};
                end
                always_ff @(posedge clk) if (advance) terms <= made;
                sum_tree #(.N(SIMD), .W(TERM), .SIGNED(X_SIGNED), .STEP(STEP)) tree
                    (.clk(clk), .enable(advance), .terms(terms), .sum(sum));
                logic signed [BITS-1:0] accumulator, start, added;
                assign start = starts[p*START+(j==0?0:SUM_A)+:BITS];
                if (X_SIGNED) begin : signed_sum
                    assign added = BITS'($signed(sum));
                end else begin : unsigned_sum
                    assign added = BITS'(sum);
                end
                always_ff @(posedge clk) if (adding) accumulator <= (open ? start : accumulator) + added;

                // The constant multiple, a bit of the constant after the other; kept, so that two at a time are added
                // on the carry chain.
                for (genvar b = 0; b < 32; b++) begin : bit_
                    (* keep *) logic [ACC-1:0] so_far;
                    if (b == 0) begin : lowest
                        assign so_far = FACTOR[0] ? ACC'(accumulator) : '0;
                    end else if (FACTOR[b]) begin : more
                        assign so_far = bit_[b-1].so_far + (ACC'(accumulator) << b);
                    end else begin : same
                        assign so_far = bit_[b-1].so_far;
                    end
                end
            end
            logic [ACC-1:0] result;
            if (SUMS == 2) begin : both
                assign result = part[0].bit_[31].so_far + part[1].bit_[31].so_far;
            end else begin : single
                assign result = part[0].bit_[31].so_far;
            end
            always_ff @(posedge clk) if (take) out_data[p*ACC+:ACC] <= result;
        end
    endgenerate
endmodule
