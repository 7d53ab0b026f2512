// Matrix-vector unit whose lanes have widths of their own: as mvau, but each of the PE outputs has weights of W[p] bits
// and an accumulator of SUMS[p] bits. A lane of 0-bit weights (all pruned) has no multipliers and gives its biases.
//
// An output is bias + sum of w * x over FOLD_IN words of SIMD inputs. FOLD_OUT times PE outputs make a vector; the
// words of inputs come again for each of the FOLD_OUT (`window_serial` with REPEAT = FOLD_OUT sends them so).
//
// PARAMETERS
//   PE, SIMD         outputs and inputs in parallel
//   X, X_SIGNED      bits of an input, and whether it is two's complement
//   W                bits of a weight, two's complement, 0 to 255: those of lane p in bits [p*8 +: 8]; not all are 0
//   SUMS             bits of a lane's outputs, two's complement, 1 to ACC: those of lane p in bits [p*8 +: 8]; they
//                    hold every final sum of the lane, partial ones may wrap
//   ACC              bits of an output: that of a lane with its sign repeated
//   FOLD_IN          words of inputs of one output
//   FOLD_OUT         words of outputs until the weights begin anew
//   BIAS             1: there are biases, of ACC bits
//   STEP             levels of adders between registers
//   WEIGHTS, BIASES  files: FOLD_OUT * FOLD_IN words of SIMD weights of lane 0, in the lowest bits, then of lane 1 …,
//                    each as wide as its lane, and FOLD_OUT words of PE biases
//   STYLE            memory of the weights, see rom
//
// PORTS    in: stream of words of SIMD inputs; out: stream of words of PE outputs
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    3 clocks and those of the tree, from the last word of an output to the output
// THROUGHPUT a word of inputs per clock
module mvau_lanes #(
    parameter int PE = 2,
    parameter int SIMD = 1,
    parameter int X = 3,
    parameter bit X_SIGNED = 0,
    parameter bit [PE*8-1:0] W = {PE{8'd3}},
    parameter bit [PE*8-1:0] SUMS = {PE{8'd16}},
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
    // Bits of a word of weights before those of a lane; of the whole word for lane PE.
    function automatic int offset(input int lane);
        offset = 0;
        for (int p = 0; p < PE; p++) if (p < lane) offset = offset + SIMD * int'(W[p*8+:8]);
    endfunction

    localparam int WORDS = FOLD_IN * FOLD_OUT;
    localparam int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam int TURN = FOLD_OUT > 1 ? $clog2(FOLD_OUT) : 1;
    localparam int WORD = offset(PE);
    localparam int TREE = $clog2(SIMD) / STEP;

    // Stage 0: inputs and weights. Then products in a register, the tree, and the accumulators.
    logic advance, opening, adding, open;
    logic [ADDRESS-1:0] address;
    logic [TURN-1:0] turn;
    mvau_control #(.FOLD_IN(FOLD_IN), .FOLD_OUT(FOLD_OUT), .DEPTH(TREE + 2)) control (.*);
    logic [SIMD*X-1:0] x;
    logic [WORD-1:0] weights;
    logic [PE*ACC-1:0] biases;
    rom #(.WIDTH(WORD), .WORDS(WORDS), .FILE(WEIGHTS), .STYLE(STYLE)) weight_rom
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
            localparam int BITS = int'(W[p*8+:8]);
            localparam int OWN = int'(SUMS[p*8+:8]);
            logic signed [OWN-1:0] accumulator, start, added;
            assign start = BIAS ? biases[p*ACC+:OWN] : '0;
            if (BITS == 0) begin : pruned
                assign added = '0;
            end else begin : weighted
                localparam int PRODUCT = X + BITS;
                localparam int SUM = PRODUCT + $clog2(SIMD);
                localparam int FIRST = offset(p);
                logic [SIMD*PRODUCT-1:0] products, terms;
                logic [SUM-1:0] sum;
                for (genvar s = 0; s < SIMD; s++) begin : product
                    logic signed [PRODUCT-1:0] a, b;
                    if (X_SIGNED) begin : two
                        assign a = PRODUCT'($signed(x[s*X+:X]));
                    end else begin : magnitude
                        assign a = PRODUCT'($signed({1'b0, x[s*X+:X]}));
                    end
                    assign b = PRODUCT'($signed(weights[FIRST+s*BITS+:BITS]));
                    assign products[s*PRODUCT+:PRODUCT] = a * b;
                end
                always_ff @(posedge clk) if (advance) terms <= products;
                sum_tree #(.N(SIMD), .W(PRODUCT), .SIGNED(1), .STEP(STEP)) tree
                    (.clk(clk), .enable(advance), .terms(terms), .sum(sum));
                assign added = OWN'($signed(sum));
            end
            always_ff @(posedge clk) begin
                if (adding) accumulator <= (open ? start : accumulator) + added;
            end
            assign out_data[p*ACC+:ACC] = ACC'(accumulator);
        end
    endgenerate
endmodule
