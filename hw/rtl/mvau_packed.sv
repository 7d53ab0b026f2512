// Matrix-vector unit with several products in a multiplier block: the weights of several outputs lie side by side in
// one operand, the input that they share is the other.
//
// With FIELD bits between one weight and the next, the product is sum of w_k x 2^(k FIELD). Sums of such products are
// sums of all fields at once, so blocks add them, without logic beside them:
//   INNER = 0  the CHAIN products of a column, from block to block; a tree adds the columns, and accumulators the words
//   INNER = 1  for SIMD = 1: the words of an output, in the block's own accumulator
// Every sum starts with 2^(FIELD-1) in each field, so that no field is ever negative in the end and none borrows from
// the next: the highest bit of a field, inverted, is the sign of its sum. The other bits are those of the sum.
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
//   FIELD            bits of a field: it holds every sum of a column, with INNER those of an output, two's complement
//   CHAIN            products of a column, a divisor of SIMD; 1 with INNER
//   INNER            1: blocks accumulate
//   WEIGHTS, BIASES  files: FOLD_OUT * FOLD_IN words of PE * SIMD digits, digit (p, s) in bits [(p*SIMD + s)*W +: W],
//                    and FOLD_OUT words of PE biases. The number sum of w_k 2^(k FIELD) of the weights of a block, in
//                    two's complement, has in field k the digit w_k, less 1 where the digit below is negative
//   STYLE            memory of the weights, see rom
//
// PORTS    in: stream of words of SIMD inputs; out: stream of words of PE outputs
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    from the last word of an output to the output: 3 clocks with INNER, else 4 and those of the tree
// THROUGHPUT a word of inputs per clock
module mvau_packed #(
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
    parameter int FIELD = 8,
    parameter int CHAIN = 2,
    parameter bit INNER = 0,
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
    localparam int COLUMNS = SIMD / CHAIN;
    localparam int INPUT = X_SIGNED ? X : X + 1;
    localparam int SUM = FIELD + $clog2(COLUMNS);
    localparam int TREE = $clog2(COLUMNS) / STEP;
    localparam logic [FIELD-1:0] HALF = FIELD'(1 << (FIELD - 1));

    // Stage 0: inputs and weights. Then products in a register, columns and the tree, and the accumulators; or, with
    // INNER, products and the accumulators.
    logic advance, opening, adding, open;
    logic [ADDRESS-1:0] address;
    logic [TURN-1:0] turn;
    mvau_control #(.FOLD_IN(FOLD_IN), .FOLD_OUT(FOLD_OUT), .DEPTH(INNER ? 2 : TREE + 3)) control (.*);
    logic [SIMD*X-1:0] x;
    logic [PE*SIMD*W-1:0] weights;
    logic [PE*ACC-1:0] biases;
    rom #(.WIDTH(PE*SIMD*W), .WORDS(WORDS), .FILE(WEIGHTS), .STYLE(STYLE)) weight_rom
        (.clk(clk), .enable(advance), .address(address), .data(weights));
    always_ff @(posedge clk) if (advance) x <= in_data;

    // What the columns make of the fields, sum (p, c) in bits [(p*COLUMNS + c)*FIELD +: FIELD].
    logic [PE*COLUMNS*FIELD-1:0] sums;
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
            localparam int TOTAL = OWN * FIELD;
            localparam logic [TOTAL-1:0] HALVES = {OWN{HALF}};
            for (genvar c = 0; c < COLUMNS; c++) begin : column
                logic [TOTAL-1:0] total;
                for (genvar i = 0; i < CHAIN; i++) begin : product
                    localparam int S = c * CHAIN + i;
                    logic signed [OPERAND-1:0] a;
                    logic signed [INPUT-1:0] b;
                    logic signed [OPERAND+INPUT-1:0] m;
                    for (genvar k = 0; k < OWN; k++) begin : digit
                        localparam int BITS = k == OWN - 1 ? W : FIELD;
                        assign a[k*FIELD+:BITS] = BITS'($signed(weights[((FIRST+k)*SIMD+S)*W+:W]));
                    end
                    assign b = INPUT'({1'b0, x[S*X+:X]});
                    always_ff @(posedge clk) if (advance) m <= a * b;
                    if (!INNER) begin : passed
                        logic [TOTAL-1:0] so_far;
                        if (i == 0) begin : first
                            assign so_far = HALVES + TOTAL'(m);
                        end else begin : more
                            assign so_far = product[i-1].passed.so_far + TOTAL'(m);
                        end
                    end
                end
                if (INNER) begin : own
                    logic [TOTAL-1:0] start;
                    for (genvar k = 0; k < OWN; k++) begin : biased
                        assign start[k*FIELD+:FIELD] = FIELD'($signed(biases[(FIRST+k)*ACC+:ACC])) ^ HALF;
                    end
                    always_ff @(posedge clk) if (adding) total <= (open ? start : total) + TOTAL'(product[0].m);
                end else begin : handed
                    always_ff @(posedge clk) if (advance) total <= product[CHAIN-1].passed.so_far;
                end
                for (genvar k = 0; k < OWN; k++) begin : field
                    assign sums[((FIRST+k)*COLUMNS+c)*FIELD+:FIELD] = total[k*FIELD+:FIELD] ^ HALF;
                end
            end
        end

        for (genvar p = 0; p < PE; p++) begin : element
            if (INNER) begin : own
                assign out_data[p*ACC+:ACC] = ACC'($signed(sums[p*FIELD+:FIELD]));
            end else begin : added
                logic [SUM-1:0] sum;
                sum_tree #(.N(COLUMNS), .W(FIELD), .SIGNED(1), .STEP(STEP)) tree
                    (.clk(clk), .enable(advance), .terms(sums[p*COLUMNS*FIELD+:COLUMNS*FIELD]), .sum(sum));
                logic signed [ACC-1:0] accumulator, start;
                assign start = BIAS ? biases[p*ACC+:ACC] : '0;
                always_ff @(posedge clk) begin
                    if (adding) accumulator <= (open ? start : accumulator) + ACC'($signed(sum));
                end
                assign out_data[p*ACC+:ACC] = accumulator;
            end
        end
    endgenerate
endmodule
