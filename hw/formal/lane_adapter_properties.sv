// Properties of lane_adapter: no element is lost, repeated, changed or overtaken; a word leaves as soon as its
// elements have come, and words are taken while there is room; an offered word stays until it is taken.
//
// ENVIRONMENT  any source, any sink; a reset in the first clock, and whenever it likes afterwards
// SPECIFICATION  a count of the elements inside, and one of them, whichever `watch` and `pick` choose, with the
//                number of elements before it
module lane_adapter_properties #(
    parameter int BITS = 2,
    parameter int IN = 1,
    parameter int OUT = 2,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [IN*BITS-1:0] in_data,
    input logic out_ready,
    input logic watch,
    input logic [(IN > 1 ? $clog2(IN) : 1)-1:0] pick,
    output logic reached
);
    // A word at the output, and all parts but the last of the next one; or one word of the input.
    localparam int ROOM = IN < OUT ? OUT + OUT - IN : IN;
    typedef logic [$clog2(ROOM+IN+1)-1:0] count_t;
    logic in_ready, out_valid;
    logic [OUT*BITS-1:0] out_data;
    lane_adapter #(.BITS(BITS), .IN(IN), .OUT(OUT)) dut (.*);
    wire push = in_valid && in_ready;
    wire pop = out_valid && out_ready;

    logic started = 0;
    count_t count, ahead, left;
    logic watching, offered, was_full;
    logic [BITS-1:0] expected;
    logic [OUT*BITS-1:0] shown;
    assign left = count - (pop ? count_t'(OUT) : '0);
    always_ff @(posedge clk) begin
        started <= 1'b1;
        count <= rst ? '0 : left + (push ? count_t'(IN) : '0);
        if (rst) watching <= 1'b0;
        else if (push && watch && !watching) begin
            watching <= 1'b1;
            ahead <= left + count_t'(pick);
            expected <= in_data[pick*BITS+:BITS];
        end else if (watching && pop) begin
            watching <= ahead >= count_t'(OUT);
            ahead <= ahead - count_t'(OUT);
        end
        offered <= !rst && out_valid && !out_ready;
        shown <= out_data;
        was_full <= started && !rst && (was_full || (watching && count == count_t'(ROOM)));
    end
    assign reached = started && was_full && watching && pop && ahead < count_t'(OUT);

    always_comb begin
        assume (started || rst);
        assume (pick < IN);
        if (started) begin
            assert (count <= count_t'(ROOM));
            assert (in_ready == (left + count_t'(IN) <= count_t'(ROOM)));
            assert (out_valid == (count >= count_t'(OUT)));
            assert (!watching || ahead < count);
            assert (!(watching && out_valid && ahead < count_t'(OUT)) || out_data[ahead*BITS+:BITS] == expected);
            assert (!offered || (out_valid && out_data == shown));
        end
    end

    // The same in words of the module's registers, which closes the induction.
    generate
        if (!INSIDE || IN == OUT) begin : outside
            always_comb assert (!started || IN != OUT || count == 0 || count == count_t'(OUT));
        end else if (IN < OUT) begin : widen
            // Elements that wait for the last part lie at the upper end.
            count_t waiting, place;
            assign waiting = count - (out_valid ? count_t'(OUT) : '0);
            assign place = ahead - (out_valid ? count_t'(OUT) : '0) + count_t'(OUT - IN) - waiting;
            always_comb if (started) begin
                assert (waiting <= count_t'(OUT - IN));
                assert (waiting == dut.widen.count * IN);
                assert (!watching || (out_valid && ahead < count_t'(OUT))
                        || dut.widen.waiting[place*BITS+:BITS] == expected);
            end
        end else begin : narrow
            always_comb if (started) begin
                assert (count == dut.narrow.left * OUT);
                assert (!watching || dut.narrow.parts[ahead*BITS+:BITS] == expected);
            end
        end
    endgenerate
endmodule
