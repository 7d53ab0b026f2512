// Matrix-vector unit whose outputs share multipliers: the weights of several outputs lie side by side in one operand,
// the input that they share is the other. For multiplier blocks that do not add; `mvau_packed` is for those that do.
//
// With FIELD bits between one weight and the next, the product is sum of w_k x 2^(k FIELD), and field k of it is
// w_k x, less 1 where the fields below make a negative number. That is what the highest bit of the field below says,
// so this bit is added again: it is the carry into an adder that there is anyway, of the tree or of the accumulator.
//
// PARAMETERS
//   PE, SIMD         outputs and inputs in parallel
//   X, X_SIGNED      bits of an input, and whether it is two's complement
//   W                bits of a digit, two's complement, see WEIGHTS
//   ACC              bits of an output, two's complement; it holds every final sum, partial ones may wrap
//   FOLD_IN          words of inputs of one output
//   FOLD_OUT         words of outputs until the weights begin anew
//   BIAS             1: there are biases, of ACC bits
//   STEP             levels of adders between registers
//   GROUPS           multipliers of an input, among which the outputs are shared out evenly: the first ones have one
//                    more. For n outputs, one operand has (n-1) * FIELD + W bits, the other X, and one more where it
//                    is unsigned
//   FIELD            bits of a field: it holds every product and every product less 1, two's complement
//   WEIGHTS, BIASES  files: FOLD_OUT * FOLD_IN words of PE * SIMD digits, digit (p, s) in bits [(p*SIMD + s)*W +: W],
//                    and FOLD_OUT words of PE biases. The number sum of w_k 2^(k FIELD) of the weights of a block, in
//                    two's complement, has in field k the digit w_k, less 1 where the digit below is negative
//   STYLE            memory of the weights, see rom
//
// PORTS    in: stream of words of SIMD inputs; out: stream of words of PE outputs
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    3 clocks and those of the tree from the last word of an output to the output
// THROUGHPUT a word of inputs per clock
//
// The multiplications have the attribute `side_by_side`, by which the scripts of synthesis find them.
module mvau_shared #(
    parameter int PE = 2,
    parameter int SIMD = 2,
    parameter int X = 3,
    parameter bit X_SIGNED = 0,
    parameter int W = 4,
    parameter int ACC = 16,
    parameter int FOLD_IN = 9,
    parameter int FOLD_OUT = 1,
    parameter bit BIAS = 0,
    parameter int STEP = 2,
    parameter int GROUPS = 1,
    parameter int FIELD = 7,
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
    localparam int INPUT = X_SIGNED ? X : X + 1;
    localparam int SUM = FIELD + $clog2(SIMD);
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

    // Fields (p, s) of the products, and what the field below each has borrowed.
    logic [PE*SIMD*FIELD-1:0] fields;
    logic [PE*SIMD-1:0] borrowed;
    generate
        if (BIAS) begin : biased
            rom #(.WIDTH(PE*ACC), .WORDS(FOLD_OUT), .FILE(BIASES), .STYLE("logic")) bias_rom
                (.clk(clk), .enable(opening), .address(turn), .data(biases));
        end else begin : unbiased
            assign biases = '0;
        end

        for (genvar g = 0; g < GROUPS; g++) begin : group
            // Outputs of the group, and the first of them.
            localparam int OWN = PE / GROUPS + (g < PE % GROUPS ? 1 : 0);
            localparam int FIRST = g * (PE / GROUPS) + (g < PE % GROUPS ? g : PE % GROUPS);
            localparam int OPERAND = (OWN - 1) * FIELD + W;
            for (genvar s = 0; s < SIMD; s++) begin : product
                logic signed [OPERAND-1:0] a;
                logic signed [INPUT-1:0] b;
                logic signed [OPERAND+INPUT-1:0] m;
                for (genvar k = 0; k < OWN; k++) begin : digit
                    localparam int BITS = k == OWN - 1 ? W : FIELD;
                    assign a[k*FIELD+:BITS] = BITS'($signed(weights[((FIRST+k)*SIMD+s)*W+:W]));
                end
                assign b = INPUT'({1'b0, x[s*X+:X]});
                always_ff @(posedge clk) if (advance) m <= a * (* side_by_side *) b;
                for (genvar k = 0; k < OWN; k++) begin : field
                    assign fields[((FIRST+k)*SIMD+s)*FIELD+:FIELD] = FIELD'(m >>> (k * FIELD));
                    assign borrowed[(FIRST+k)*SIMD+s] = k == 0 ? 1'b0 : m[(k==0 ? 1 : k)*FIELD-1];
                end
            end
            for (genvar k = 0; k < OWN; k++) begin : element
                localparam int P = FIRST + k;
                logic signed [SUM-1:0] sum;
                logic signed [ACC-1:0] accumulator, start;
                assign start = BIAS ? biases[P*ACC+:ACC] : '0;
                if (k == 0) begin : lowest
                    sum_tree #(.N(SIMD), .W(FIELD), .SIGNED(1), .STEP(STEP)) tree
                        (.clk(clk), .enable(advance), .terms(fields[P*SIMD*FIELD+:SIMD*FIELD]), .sum(sum));
                    always_ff @(posedge clk) begin
                        if (adding) accumulator <= (open ? start : accumulator) + ACC'(sum);
                    end
                end else begin : above
                    logic carry;
                    logic [ACC:0] wide;
                    carry_tree #(.N(SIMD), .W(FIELD), .STEP(STEP)) tree
                        (.clk(clk), .enable(advance), .terms(fields[P*SIMD*FIELD+:SIMD*FIELD]),
                         .carries(borrowed[P*SIMD+:SIMD]), .sum(sum), .carry(carry));
                    assign wide = {open ? start : accumulator, 1'b1} + {ACC'(sum), carry};
                    always_ff @(posedge clk) if (adding) accumulator <= wide[ACC:1];
                end
                assign out_data[P*ACC+:ACC] = accumulator;
            end
        end
    endgenerate
endmodule
