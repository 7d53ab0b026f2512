// Properties of subsample: of every frame the words of every STRIDE_H-th row and STRIDE_W-th column pass, unchanged
// and in order, and no others; frame after frame; an offered word stays until it is taken.
//
// ENVIRONMENT  a source that keeps an offered word until it is taken, any sink; a reset in the first clock, and
//              whenever it likes afterwards
// SPECIFICATION  the number of the word in its frame, from which row and column follow
module subsample_properties #(
    parameter int WIDTH = 2,
    parameter int ROWS_IN = 3,
    parameter int COLUMNS_IN = 4,
    parameter int FOLD = 2,
    parameter int STRIDE_H = 2,
    parameter int STRIDE_W = 2,
    parameter int ROWS_OUT = 2,
    parameter int COLUMNS_OUT = 2,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [WIDTH-1:0] in_data,
    input logic out_ready,
    output logic reached
);
    localparam int TOTAL = ROWS_IN * COLUMNS_IN * FOLD;
    typedef logic [$clog2(TOTAL)-1:0] number_t;
    logic in_ready, out_valid;
    logic [WIDTH-1:0] out_data;
    subsample #(
        .WIDTH(WIDTH), .ROWS_IN(ROWS_IN), .COLUMNS_IN(COLUMNS_IN), .FOLD(FOLD), .STRIDE_H(STRIDE_H),
        .STRIDE_W(STRIDE_W), .ROWS_OUT(ROWS_OUT), .COLUMNS_OUT(COLUMNS_OUT)
    ) dut (.*);

    logic started = 0;
    number_t number;
    logic chosen, waits, offered, again;
    logic [WIDTH-1:0] shown;
    always_comb begin
        chosen = 0;
        for (int y = 0; y < ROWS_OUT; y++)
            for (int x = 0; x < COLUMNS_OUT; x++)
                for (int word = 0; word < FOLD; word++)
                    chosen = chosen || number == (y * STRIDE_H * COLUMNS_IN + x * STRIDE_W) * FOLD + word;
    end
    always_ff @(posedge clk) begin
        started <= 1'b1;
        if (rst) {number, again} <= '0;
        else if (in_valid && in_ready) begin
            number <= number == TOTAL - 1 ? '0 : number + 1'b1;
            again <= again || number == TOTAL - 1;
        end
        waits <= !rst && in_valid && !in_ready;
        offered <= !rst && out_valid && !out_ready;
        shown <= in_data;
    end
    // In the second frame.
    assign reached = started && again && number == 1 && offered;
    always_comb begin
        assume (started || rst);
        assume (!waits || (in_valid && in_data == shown));
        if (started) begin
            assert (out_valid == (in_valid && chosen));
            assert (in_ready == (out_ready || !chosen));
            assert (!out_valid || out_data == in_data);
            assert (!offered || (out_valid && out_data == shown));
            assert (number < TOTAL);
            if (INSIDE) begin
                assert (!offered || waits);
                for (int n = 0; n < TOTAL; n++) begin
                    if (number == n) begin
                        assert (dut.word == n % FOLD);
                        assert (dut.column == n / FOLD % COLUMNS_IN);
                        assert (dut.row == n / FOLD / COLUMNS_IN);
                        assert (dut.skip_x == n / FOLD % COLUMNS_IN % STRIDE_W);
                        assert (dut.skip_y == n / FOLD / COLUMNS_IN % STRIDE_H);
                    end
                end
            end
        end
    end
endmodule
