// Sliding window, all kernel taps at a time, from a buffer of whole rows and a register of columns.
//
// Sends one word of KERNEL_H * KERNEL_W taps for each output pixel and each of its FOLD channel groups, REPEAT times
// over: tap (y, x) in bits [(y*KERNEL_W + x)*WIDTH +: WIDTH]. Taps in the padding are 0. Either FOLD or REPEAT is 1.
//
// PARAMETERS
//   WIDTH            bits of a word of the input, which holds some channels of a pixel
//   ROWS_IN, COLUMNS_IN     size of the frame
//   FOLD             words of a pixel
//   KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W
//   PAD_TOP, PAD_LEFT       zeros before the first row and column; those behind follow from the output's size
//   ROWS_OUT, COLUMNS_OUT   size of the output
//   REPEAT           how often a window is sent
//   ROWS             rows in the buffer, as for window_serial
//
// PORTS    in: stream of words, pixel by pixel, rows first; out: stream of windows
//
// HANDSHAKE  in_ready does not depend on out_ready; out_valid and out_data come from registers
// LATENCY    (KERNEL_W - 1) * FOLD + 3 clocks from the last word of the last row that a window needs to its first word;
//            rows that the windows behind it skip must have come too
// THROUGHPUT the first words of windows follow one another after STRIDE_W * FOLD clocks, or REPEAT if that is more;
//            between rows after KERNEL_W * FOLD, or REPEAT
module window_parallel #(
    parameter int WIDTH = 8,
    parameter int ROWS_IN = 4,
    parameter int COLUMNS_IN = 4,
    parameter int FOLD = 1,
    parameter int KERNEL_H = 3,
    parameter int KERNEL_W = 3,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int PAD_TOP = 1,
    parameter int PAD_LEFT = 1,
    parameter int ROWS_OUT = 4,
    parameter int COLUMNS_OUT = 4,
    parameter int REPEAT = 1,
    parameter int ROWS = 4
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [KERNEL_H*KERNEL_W*WIDTH-1:0] out_data
);
    localparam int ROW = COLUMNS_IN * FOLD;
    localparam int ADDRESS = ROW > 1 ? $clog2(ROW) : 1;
    localparam int SLOT = ROWS > 1 ? $clog2(ROWS) : 1;
    localparam int FILLED = $clog2(ROWS + 1);
    // Columns that a row of windows spans, with its padding.
    localparam int SPAN = (COLUMNS_OUT - 1) * STRIDE_W + KERNEL_W;
    // Row and column numbers of the frame with its padding, signed; windows may span less than the frame, or more.
    localparam int SPAN_H = (ROWS_OUT - 1) * STRIDE_H + KERNEL_H;
    localparam int Y = $clog2((SPAN_H > ROWS_IN ? SPAN_H : ROWS_IN) + STRIDE_H + PAD_TOP + 1) + 1;
    localparam int X = $clog2((SPAN > COLUMNS_IN ? SPAN : COLUMNS_IN) + PAD_LEFT + 1) + 1;
    localparam int OUT_Y = $clog2(ROWS_OUT + 1);
    localparam int WORD = $clog2(FOLD + 1);
    localparam int TURN = $clog2(REPEAT + 1);
    localparam int COLUMN = KERNEL_H * WIDTH;
    typedef logic signed [Y-1:0] y_t;
    typedef logic signed [X-1:0] x_t;
    typedef logic [SLOT-1:0] slot_t;

    function automatic slot_t advanced(slot_t from, int by);
        int sum;
        sum = int'(from) + by;
        return SLOT'(sum >= ROWS ? sum - ROWS : sum);
    endfunction

    function automatic y_t clamped(y_t y);
        return y < 0 ? '0 : y > y_t'(ROWS_IN) ? y_t'(ROWS_IN) : y;
    endfunction

    // The writer: one memory for each row of the buffer.
    logic [FILLED-1:0] filled;
    slot_t write_slot;
    logic [ADDRESS-1:0] write_address;
    wire write = in_valid && in_ready;
    wire row_written = write && write_address == ADDRESS'(ROW - 1);
    assign in_ready = filled != FILLED'(ROWS);
    always_ff @(posedge clk) begin
        if (rst) {write_slot, write_address} <= '0;
        else if (write) begin
            write_address <= row_written ? '0 : write_address + 1'b1;
            if (row_written) write_slot <= advanced(write_slot, 1);
        end
    end

    // The reader walks over SPAN columns for each row of windows.
    logic [OUT_Y-1:0] out_y;
    logic [WORD-1:0] word;
    x_t x;
    y_t top, released, release_to, need_to, wanted;
    slot_t top_slot;
    logic [ADDRESS-1:0] address;
    wire last_row = out_y == OUT_Y'(ROWS_OUT - 1);
    assign release_to = last_row ? y_t'(ROWS_IN) : clamped(top + y_t'(STRIDE_H));
    assign need_to = clamped(top + y_t'(KERNEL_H));
    // Rows that are skipped must have come before they are released.
    assign wanted = (need_to > release_to ? need_to : release_to) - released;
    wire go = filled >= FILLED'(wanted);
    wire word_end = word == WORD'(FOLD - 1);
    wire row_end = word_end && x == x_t'(SPAN - PAD_LEFT - 1);
    wire in_frame = x >= 0 && x < x_t'(COLUMNS_IN);
    // Stages: column read from the memories, columns in the shift register, window at the output.
    logic read_valid, read_full, moved;
    wire read = go && (!read_valid || moved);
    localparam int ROW_STEP = STRIDE_H % ROWS;
    localparam int FRAME_STEP = ((ROWS_IN - (ROWS_OUT - 1) * STRIDE_H) % ROWS + ROWS) % ROWS;
    localparam int FIRST_SLOT = (ROWS - PAD_TOP % ROWS) % ROWS;
    // Columns until the next complete window: KERNEL_W at the start of a row, then STRIDE_W.
    localparam int LEFT = $clog2(KERNEL_W + STRIDE_W + 1);
    logic [LEFT-1:0] columns_left;
    wire completes = columns_left == LEFT'(1);
    always_ff @(posedge clk) begin
        if (rst) begin
            {out_y, word, address} <= '0;
            x <= -x_t'(PAD_LEFT);
            top <= -y_t'(PAD_TOP);
            released <= '0;
            filled <= '0;
            top_slot <= slot_t'(FIRST_SLOT);
            columns_left <= LEFT'(KERNEL_W);
            read_valid <= 1'b0;
        end else begin
            filled <= filled + FILLED'(row_written) - (read && row_end ? FILLED'(release_to - released) : '0);
            read_valid <= read || (read_valid && !moved);
            if (read) begin
                word <= word_end ? '0 : word + 1'b1;
                if (in_frame) address <= address == ADDRESS'(ROW - 1) ? '0 : address + 1'b1;
                if (word_end) begin
                    x <= x + 1'b1;
                    columns_left <= completes ? LEFT'(STRIDE_W) : columns_left - 1'b1;
                end
                if (row_end) begin
                    x <= -x_t'(PAD_LEFT);
                    address <= '0;
                    columns_left <= LEFT'(KERNEL_W);
                    out_y <= last_row ? '0 : out_y + 1'b1;
                    top <= last_row ? -y_t'(PAD_TOP) : top + y_t'(STRIDE_H);
                    released <= last_row ? '0 : release_to;
                    top_slot <= advanced(top_slot, last_row ? FRAME_STEP : ROW_STEP);
                end
            end
        end
        if (read) read_full <= completes;
    end

    // The column, its rows in order and masked. `go` says that all rows of the window are complete, the writer fills
    // another one: no word that counts is read while it is written (`no_rw_check`).
    logic [ROWS*WIDTH-1:0] stored;
    logic [COLUMN-1:0] column;
    slot_t read_slot;
    logic [KERNEL_H-1:0] masked;
    generate
        for (genvar r = 0; r < ROWS; r++) begin : row
            (* ram_style = "distributed", no_rw_check *) logic [WIDTH-1:0] words [0:ROW-1];
            always_ff @(posedge clk) begin
                if (write && write_slot == slot_t'(r)) words[write_address] <= in_data;
                if (read) stored[r*WIDTH+:WIDTH] <= words[address];
            end
        end
        for (genvar k = 0; k < KERNEL_H; k++) begin : tap
            slot_t slot;
            y_t y;
            assign y = top + y_t'(k);
            assign slot = advanced(read_slot, k % ROWS);
            assign column[k*WIDTH+:WIDTH] = masked[k] ? '0 : stored[slot*WIDTH+:WIDTH];
            always_ff @(posedge clk) if (read) masked[k] <= !in_frame || y < 0 || y >= y_t'(ROWS_IN);
        end
    endgenerate
    always_ff @(posedge clk) if (read) read_slot <= top_slot;

    // The shift register holds the KERNEL_W - 1 columns before, for each of the FOLD words of a pixel.
    localparam int HELD = (KERNEL_W - 1) * FOLD;
    logic [KERNEL_W*COLUMN-1:0] columns;
    generate
        if (HELD > 0) begin : shift
            logic [HELD*COLUMN-1:0] held;
            for (genvar c = 0; c < KERNEL_W - 1; c++) begin : before_now
                assign columns[c*COLUMN+:COLUMN] = held[c*FOLD*COLUMN+:COLUMN];
            end
            always_ff @(posedge clk) if (moved) held <= (HELD*COLUMN)'({column, held} >> COLUMN);
        end
    endgenerate
    assign columns[(KERNEL_W-1)*COLUMN+:COLUMN] = column;

    // The window, sent REPEAT times.
    logic [TURN-1:0] turn;
    wire sent = out_valid && out_ready && turn == TURN'(REPEAT - 1);
    assign moved = read_valid && (!read_full || !out_valid || sent);
    always_ff @(posedge clk) begin
        if (rst) begin
            out_valid <= 1'b0;
            turn <= '0;
        end else begin
            if (moved && read_full) out_valid <= 1'b1;
            else if (sent) out_valid <= 1'b0;
            if (out_valid && out_ready) turn <= sent ? '0 : turn + 1'b1;
        end
    end
    generate
        for (genvar k = 0; k < KERNEL_H; k++) begin : window_row
            for (genvar c = 0; c < KERNEL_W; c++) begin : window_column
                always_ff @(posedge clk) begin
                    if (moved && read_full)
                        out_data[(k*KERNEL_W+c)*WIDTH+:WIDTH] <= columns[c*COLUMN+k*WIDTH+:WIDTH];
                end
            end
        end
    endgenerate
endmodule
