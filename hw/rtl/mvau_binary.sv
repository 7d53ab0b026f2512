// Matrix-vector unit for weights of one bit: exclusive nor and population count, or and.
//
// With XNOR, bit 1 is the weight 1 and bit 0 the weight -1, for which an input enters as its complement: C - x instead
// of -x, where C is 2^X - 1, or -1 for signed inputs. What that is too much, C for every 0 among the weights of an
// output, is taken off its bias beforehand. Without XNOR, bit 0 is the weight 0. An output is bias + sum of terms over
// FOLD_IN words of SIMD inputs. FOLD_OUT times PE outputs make a vector; the words of inputs come again for each of the
// FOLD_OUT (`window_serial` with REPEAT = FOLD_OUT sends them so).
//
// PARAMETERS
//   PE, SIMD         outputs and inputs in parallel
//   X, X_SIGNED      bits of an input, and whether it is two's complement
//   XNOR             1: weights 1 and -1; 0: weights 1 and 0
//   ACC              bits of an output, two's complement; it holds every final sum, partial ones may wrap
//   FOLD_IN          words of inputs of one output
//   FOLD_OUT         words of outputs until the weights begin anew
//   BIAS             1: there are biases, of ACC bits
//   STEP             levels of adders between registers
//   WEIGHTS, BIASES  files: FOLD_OUT * FOLD_IN words of PE * SIMD bits, that of (p, s) at p*SIMD + s, and FOLD_OUT
//                    words of PE biases
//   STYLE            memory of the weights, see rom
//
// PORTS    in: stream of words of SIMD inputs; out: stream of words of PE outputs
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    3 clocks and those of the tree, from the last word of an output to the output
// THROUGHPUT a word of inputs per clock
//
// Unsigned inputs of one bit are counted three at a time before the tree: a LUT of six inputs for each bit of a count.
module mvau_binary #(
    parameter int PE = 1,
    parameter int SIMD = 1,
    parameter int X = 1,
    parameter bit X_SIGNED = 0,
    parameter bit XNOR = 1,
    parameter int ACC = 16,
    parameter int FOLD_IN = 9,
    parameter int FOLD_OUT = 1,
    parameter bit BIAS = 0,
    parameter int STEP = 2,
    parameter WEIGHTS = "",
    parameter BIASES = "",
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
    localparam bit COUNTED = X == 1 && !X_SIGNED && SIMD > 3;
    localparam int TERMS = COUNTED ? (SIMD + 2) / 3 : SIMD;
    localparam int TERM = COUNTED ? 2 : X;
    localparam int SUM = TERM + $clog2(TERMS);
    localparam int TREE = $clog2(TERMS) / STEP;

    // Stage 0: inputs and weights. Then terms in a register, the tree, and the accumulators.
    logic advance, opening, adding, open;
    logic [ADDRESS-1:0] address;
    logic [TURN-1:0] turn;
    mvau_control #(.FOLD_IN(FOLD_IN), .FOLD_OUT(FOLD_OUT), .DEPTH(TREE + 2)) control (.*);
    logic [SIMD*X-1:0] x;
    logic [PE*SIMD-1:0] weights;
    logic [PE*ACC-1:0] biases;
    rom #(.WIDTH(PE*SIMD), .WORDS(WORDS), .FILE(WEIGHTS), .STYLE(STYLE)) weight_rom
        (.clk(clk), .enable(advance), .address(address), .data(weights));
    always_ff @(posedge clk) if (advance) x <= in_data;

    generate
        if (BIAS) begin : biased
            rom #(.WIDTH(PE*ACC), .WORDS(FOLD_OUT), .FILE(BIASES), .STYLE("logic")) bias_rom
                (.clk(clk), .enable(opening), .address(turn), .data(biases));
        end else begin : unbiased
            assign biases = '0;
        end

        for (genvar p = 0; p < PE; p++) begin : element
            logic [SIMD*X-1:0] each;
            logic [TERMS*TERM-1:0] made, terms;
            logic [SUM-1:0] sum;
            for (genvar s = 0; s < SIMD; s++) begin : product
                wire weight = weights[p*SIMD+s];
                assign each[s*X+:X] = XNOR ? x[s*X+:X] ~^ {X{weight}} : x[s*X+:X] & {X{weight}};
            end
            if (COUNTED) begin : counted
                wire [TERMS*3-1:0] padded = (TERMS * 3)'(each);
                for (genvar t = 0; t < TERMS; t++) begin : triple
                    wire a = padded[3*t], b = padded[3*t+1], c = padded[3*t+2];
                    assign made[2*t+:2] = {(a & b) | (a & c) | (b & c), a ^ b ^ c};
                end
            end else begin : alone
                assign made = each;
            end
            always_ff @(posedge clk) if (advance) terms <= made;
            sum_tree #(.N(TERMS), .W(TERM), .SIGNED(X_SIGNED), .STEP(STEP)) tree
                (.clk(clk), .enable(advance), .terms(terms), .sum(sum));
            logic signed [ACC-1:0] accumulator, start, added;
            assign start = BIAS ? biases[p*ACC+:ACC] : '0;
            if (X_SIGNED) begin : two
                assign added = ACC'($signed(sum));
            end else begin : magnitude
                assign added = ACC'(sum);
            end
            always_ff @(posedge clk) if (adding) accumulator <= (open ? start : accumulator) + added;
            assign out_data[p*ACC+:ACC] = accumulator;
        end
    endgenerate
endmodule
