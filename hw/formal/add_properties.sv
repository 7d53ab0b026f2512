// Properties of add: the words of both streams are taken together, each pair leaves as its sum one clock later (those
// aside in which a sum waits), in order; an offered sum stays until it is taken.
//
// ENVIRONMENT  any sources, any sink; a reset in the first clock, and whenever it likes afterwards
module add_properties #(
    parameter int LANES = 2,
    parameter int A = 3,
    parameter bit A_SIGNED = 1,
    parameter int B = 2,
    parameter bit B_SIGNED = 0,
    parameter int Y = 4,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic a_valid,
    input logic [LANES*A-1:0] a_data,
    input logic b_valid,
    input logic [LANES*B-1:0] b_data,
    input logic out_ready,
    output logic reached
);
    logic a_ready, b_ready, out_valid;
    logic [LANES*Y-1:0] out_data;
    add #(.LANES(LANES), .A(A), .A_SIGNED(A_SIGNED), .B(B), .B_SIGNED(B_SIGNED), .Y(Y)) dut (.*);

    // Beyond the width of an output, so that a sum which does not fit is seen.
    function automatic bit sums(
        input logic [LANES*A-1:0] a, input logic [LANES*B-1:0] b, input logic [LANES*Y-1:0] y
    );
        int left, right, sum;
        sums = 1;
        for (int i = 0; i < LANES; i++) begin
            left = A_SIGNED ? 32'($signed(a[i*A+:A])) : 32'(a[i*A+:A]);
            right = B_SIGNED ? 32'($signed(b[i*B+:B])) : 32'(b[i*B+:B]);
            sum = A_SIGNED || B_SIGNED ? 32'($signed(y[i*Y+:Y])) : 32'(y[i*Y+:Y]);
            sums = sums && left + right == sum;
        end
    endfunction

    logic started = 0;
    logic waits, offered;
    logic [LANES*A-1:0] a;
    logic [LANES*B-1:0] b;
    logic [LANES*Y-1:0] shown;
    wire move = !waits || out_ready;
    always_ff @(posedge clk) begin
        started <= 1'b1;
        if (rst) waits <= 1'b0;
        else if (move) waits <= a_valid && b_valid;
        if (move) {a, b} <= {a_data, b_data};
        offered <= !rst && out_valid && !out_ready;
        shown <= out_data;
    end
    assign reached = started && offered && out_valid && out_ready && a_valid && b_valid;
    always_comb begin
        assume (started || rst);
        if (started) begin
            assert ((a_valid && a_ready) == (a_valid && b_valid && move));
            assert ((b_valid && b_ready) == (a_valid && b_valid && move));
            assert (out_valid == waits);
            assert (!waits || sums(a, b, out_data));
            assert (!offered || (out_valid && out_data == shown));
        end
    end
endmodule
