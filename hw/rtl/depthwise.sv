// Depthwise convolution: LANES channels at a time, one kernel tap in a clock.
//
// An output is bias + sum of w * x over TAPS words. FOLD groups of LANES channels make a pixel; `window_serial`
// with GROUPS = FOLD sends their taps one group after the other.
//
// PARAMETERS
//   LANES            channels in parallel
//   X, X_SIGNED      bits of an input, and whether it is two's complement
//   W                bits of a weight, two's complement
//   ACC              bits of an output, two's complement; it holds every final sum
//   TAPS             kernel height times width
//   FOLD             groups of channels
//   BIAS             1: there are biases, of ACC bits
//   WEIGHTS, BIASES  files: FOLD * TAPS words of LANES weights, FOLD words of LANES biases
//   STYLE            memory of the weights, see rom
//
// PORTS    in, out: streams
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    3 clocks from the last tap of an output
// THROUGHPUT one tap of LANES channels per clock
module depthwise #(
    parameter int LANES = 1,
    parameter int X = 3,
    parameter bit X_SIGNED = 0,
    parameter int W = 3,
    parameter int ACC = 16,
    parameter int TAPS = 9,
    parameter int FOLD = 1,
    parameter bit BIAS = 0,
    parameter WEIGHTS = "",
    parameter BIASES = "",
    parameter STYLE = "logic"
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [LANES*X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*ACC-1:0] out_data
);
    localparam int WORDS = FOLD * TAPS;
    localparam int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam int COUNT = $clog2(TAPS + 1);
    localparam int TURN = FOLD > 1 ? $clog2(FOLD) : 1;
    localparam int PRODUCT = X + W;
    wire advance = !out_valid || out_ready;
    assign in_ready = advance;

    logic [ADDRESS-1:0] address;
    logic [COUNT-1:0] count;
    logic [TURN-1:0] turn;
    wire step = in_valid && advance;
    wire first = count == '0;
    wire last = count == COUNT'(TAPS - 1);
    wire last_turn = turn == TURN'(FOLD - 1);
    logic [LANES*X-1:0] x;
    logic [LANES*W-1:0] weights;
    logic [LANES*ACC-1:0] biases;
    logic [1:0] valid, opens, closes;
    rom #(.WIDTH(LANES*W), .WORDS(WORDS), .FILE(WEIGHTS), .STYLE(STYLE)) weight_rom
        (.clk(clk), .enable(advance), .address(address), .data(weights));
    always_ff @(posedge clk) begin
        if (rst) begin
            {address, count, turn} <= '0;
            {out_valid, valid} <= '0;
        end else begin
            if (step) begin
                address <= last && last_turn ? '0 : address + 1'b1;
                count <= last ? '0 : count + 1'b1;
                if (last) turn <= last_turn ? '0 : turn + 1'b1;
            end
            if (advance) begin
                valid <= {valid[0], in_valid};
                out_valid <= valid[1] && closes[1];
            end
        end
        if (advance) begin
            x <= in_data;
            opens <= {opens[0], first};
            closes <= {closes[0], last};
        end
    end
    generate
        if (BIAS) begin : biased
            logic [TURN-1:0] bias_turn;
            wire opening = valid[0] && opens[0];
            always_ff @(posedge clk) begin
                if (rst) bias_turn <= '0;
                else if (advance && opening) bias_turn <= bias_turn == TURN'(FOLD - 1) ? '0 : bias_turn + 1'b1;
            end
            rom #(.WIDTH(LANES*ACC), .WORDS(FOLD), .FILE(BIASES), .STYLE("logic")) bias_rom
                (.clk(clk), .enable(advance && opening), .address(bias_turn), .data(biases));
        end else begin : unbiased
            assign biases = '0;
        end
        for (genvar i = 0; i < LANES; i++) begin : element
            logic signed [PRODUCT-1:0] a, product;
            logic signed [ACC-1:0] accumulator;
            if (X_SIGNED) begin : two
                assign a = PRODUCT'($signed(x[i*X+:X]));
            end else begin : magnitude
                assign a = PRODUCT'(x[i*X+:X]);
            end
            assign out_data[i*ACC+:ACC] = accumulator;
            always_ff @(posedge clk) begin
                if (advance) product <= a * PRODUCT'($signed(weights[i*W+:W]));
                if (advance && valid[1])
                    accumulator <= (opens[1] ? $signed(biases[i*ACC+:ACC]) : accumulator) + ACC'(product);
            end
        end
    endgenerate
endmodule
