// Matrix-vector unit: PE outputs and SIMD inputs at a time, weights from a memory.
//
// An output is bias + sum of w * x over FOLD_IN words of SIMD inputs. FOLD_OUT times PE outputs make a vector; the
// words of inputs come again for each of the FOLD_OUT (`window_serial` with REPEAT = FOLD_OUT sends them so).
//
// PARAMETERS
//   PE, SIMD         outputs and inputs in parallel
//   X, X_SIGNED      bits of an input, and whether it is two's complement
//   W                bits of a weight, two's complement
//   ACC              bits of an output, two's complement; it holds every final sum, partial ones may wrap
//   FOLD_IN          words of inputs of one output
//   FOLD_OUT         words of outputs until the weights begin anew
//   BIAS             1: there are biases, of ACC bits
//   STEP             levels of adders between registers
//   WEIGHTS, BIASES  files: FOLD_OUT * FOLD_IN words of PE * SIMD weights, weight (p, s) in bits
//                    [(p*SIMD + s)*W +: W], and FOLD_OUT words of PE biases
//   STYLE            memory of the weights, see rom
//
// PORTS    in: stream of words of SIMD inputs; out: stream of words of PE outputs
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    3 clocks and those of the tree, from the last word of an output to the output
// THROUGHPUT a word of inputs per clock
module mvau #(
    parameter int PE = 1,
    parameter int SIMD = 1,
    parameter int X = 3,
    parameter bit X_SIGNED = 0,
    parameter int W = 3,
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
    localparam int PRODUCT = X + W;
    localparam int SUM = PRODUCT + $clog2(SIMD);
    localparam int TREE = $clog2(SIMD) / STEP;

    // Stage 0: inputs and weights. Then products in a register, the tree, and the accumulators.
    logic advance, opening, adding, open;
    logic [ADDRESS-1:0] address;
    logic [TURN-1:0] turn;
    mvau_control #(.FOLD_IN(FOLD_IN), .FOLD_OUT(FOLD_OUT), .DEPTH(TREE + 2)) control (.*);
    logic [SIMD*X-1:0] x;
    logic [PE*SIMD*W-1:0] weights;
    logic [PE*ACC-1:0] biases;
    rom #(.WIDTH(PE*SIMD*W), .WORDS(WORDS), .FILE(WEIGHTS), .STYLE(STYLE)) weight_rom
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
            logic [SIMD*PRODUCT-1:0] products, terms;
            logic [SUM-1:0] sum;
            for (genvar s = 0; s < SIMD; s++) begin : product
                logic signed [PRODUCT-1:0] a, b;
                if (X_SIGNED) begin : two
                    assign a = PRODUCT'($signed(x[s*X+:X]));
                end else begin : magnitude
                    assign a = PRODUCT'($signed({1'b0, x[s*X+:X]}));
                end
                assign b = PRODUCT'($signed(weights[(p*SIMD+s)*W+:W]));
                assign products[s*PRODUCT+:PRODUCT] = a * b;
            end
            always_ff @(posedge clk) if (advance) terms <= products;
            sum_tree #(.N(SIMD), .W(PRODUCT), .SIGNED(1), .STEP(STEP)) tree
                (.clk(clk), .enable(advance), .terms(terms), .sum(sum));
            logic signed [ACC-1:0] accumulator, start;
            assign start = BIAS ? biases[p*ACC+:ACC] : '0;
            always_ff @(posedge clk) begin
                if (adding) accumulator <= (open ? start : accumulator) + ACC'($signed(sum));
            end
            assign out_data[p*ACC+:ACC] = accumulator;
        end
    endgenerate
endmodule
