// Every STRIDE_H-th row and STRIDE_W-th column of a frame, from the first on.
//
// PARAMETERS
//   WIDTH        bits of a word
//   ROWS_IN, COLUMNS_IN   size of the frame
//   FOLD         words of a pixel
//   STRIDE_H, STRIDE_W
//   ROWS_OUT, COLUMNS_OUT   size of the output; what lies behind is dropped too
//
// PORTS    in, out: streams of words, pixel by pixel, rows first
//
// HANDSHAKE  in_ready depends on out_ready; out_valid on in_valid: nothing is stored
// LATENCY    none
// THROUGHPUT one word of the input per clock
module subsample #(
    parameter int WIDTH = 8,
    parameter int ROWS_IN = 4,
    parameter int COLUMNS_IN = 4,
    parameter int FOLD = 1,
    parameter int STRIDE_H = 2,
    parameter int STRIDE_W = 2,
    parameter int ROWS_OUT = 2,
    parameter int COLUMNS_OUT = 2
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [WIDTH-1:0] out_data
);
    localparam int WORD = $clog2(FOLD + 1);
    localparam int ROW = $clog2(ROWS_IN + 1);
    localparam int COLUMN = $clog2(COLUMNS_IN + 1);
    localparam int SKIP_Y = $clog2(STRIDE_H + 1);
    localparam int SKIP_X = $clog2(STRIDE_W + 1);
    logic [WORD-1:0] word;
    logic [ROW-1:0] row;
    logic [COLUMN-1:0] column;
    logic [SKIP_Y-1:0] skip_y;
    logic [SKIP_X-1:0] skip_x;
    wire chosen = skip_y == 0 && skip_x == 0 && row < ROW'((ROWS_OUT - 1) * STRIDE_H + 1)
                  && column < COLUMN'((COLUMNS_OUT - 1) * STRIDE_W + 1);
    wire word_end = word == WORD'(FOLD - 1);
    wire column_end = column == COLUMN'(COLUMNS_IN - 1);
    wire row_end = row == ROW'(ROWS_IN - 1);
    assign out_valid = in_valid && chosen;
    assign in_ready = out_ready || !chosen;
    assign out_data = in_data;
    always_ff @(posedge clk) begin
        if (rst) {word, row, column, skip_y, skip_x} <= '0;
        else if (in_valid && in_ready) begin
            word <= word_end ? '0 : word + 1'b1;
            if (word_end) begin
                column <= column_end ? '0 : column + 1'b1;
                skip_x <= column_end || skip_x == SKIP_X'(STRIDE_W - 1) ? '0 : skip_x + 1'b1;
                if (column_end) begin
                    row <= row_end ? '0 : row + 1'b1;
                    skip_y <= row_end || skip_y == SKIP_Y'(STRIDE_H - 1) ? '0 : skip_y + 1'b1;
                end
            end
        end
    end
endmodule
