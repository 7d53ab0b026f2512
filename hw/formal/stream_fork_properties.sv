// Properties of stream_fork: every reader takes every word once, before `in` moves on; what is offered to a reader
// stays until it is taken; a reader is never held up by the others within a word.
//
// ENVIRONMENT  a source that keeps an offered word until it is taken, any readers; a reset in the first clock, and
//              whenever it likes afterwards
module stream_fork_properties #(
    parameter int N = 2,
    parameter int WIDTH = 2,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [WIDTH-1:0] in_data,
    input logic [N-1:0] out_ready,
    output logic reached
);
    logic in_ready;
    logic [N-1:0] out_valid;
    logic [WIDTH-1:0] out_data;
    stream_fork #(.N(N), .WIDTH(WIDTH)) dut (.*);

    logic started = 0;
    // Readers that have the word at the door.
    logic [N-1:0] served, offered;
    logic waits;
    logic [WIDTH-1:0] shown;
    wire [N-1:0] taken = out_valid & out_ready;
    always_ff @(posedge clk) begin
        started <= 1'b1;
        served <= rst || (in_valid && in_ready) ? '0 : served | taken;
        waits <= !rst && in_valid && !in_ready;
        offered <= rst ? '0 : out_valid & ~out_ready;
        shown <= in_data;
    end
    assign reached = started && waits && served != 0 && in_ready;
    always_comb begin
        assume (started || rst);
        assume (!waits || (in_valid && in_data == shown));
        if (started) begin
            // None twice, none missed, none invented.
            assert ((taken & served) == 0);
            assert (!(in_valid && in_ready) || (taken | served) == '1);
            assert (in_valid || out_valid == 0);
            assert (out_valid == 0 || out_data == in_data);
            // Progress: a word that all have moves on, and whoever has not got it is offered it.
            assert (!in_valid || in_ready == ((served | out_ready) == '1));
            assert (!in_valid || out_valid == ~served);
            assert (offered == 0 || (out_data == shown && (offered & ~out_valid) == 0));
            assert (!INSIDE || dut.done == served);
            assert (!INSIDE || waits || served == 0);
            assert (!INSIDE || (offered & served) == 0);
            assert (!INSIDE || waits || offered == 0);
        end
    end
endmodule
