// Top level of a board: the network between a serial receiver and a serial transmitter.
//
// PARAMETERS
//   IN, OUT   bits of a word into and out of the network
//   WORDS     words into the network that make a frame
//   CLOCKS    clocks of one bit on the line: clock frequency / baud rate, rounded
//   LED_LOW   1: the lamp is lit by 0
//
// PORTS    clk: the board's oscillator; rx, tx: serial line, 8N1; led: lit once a byte was lost
//
// A word is the fewest bytes that hold it, the least significant first; bits above the word are ignored on the way
// in and 0 on the way out. A frame is its words in order, and nothing marks where it begins.
//
// HANDSHAKE  The line has none. The shell holds a whole frame, so that a host that waits for the answer to a frame
//            before it sends the next one never loses a byte. Where it does not wait and bytes get lost, the lamp
//            stays lit until the device is configured again.
module uart_shell #(
    parameter int IN = 8,
    parameter int OUT = 8,
    parameter int WORDS = 2,
    parameter int CLOCKS = 217,
    parameter bit LED_LOW = 0
) (
    input  logic clk,
    input  logic rx,
    output logic tx,
    output logic led
);
    localparam int IN_BYTES = (IN + 7) / 8;
    localparam int OUT_BYTES = (OUT + 7) / 8;

    // Registers start at 0 when the device is configured: reset for the first 15 clocks.
    logic [3:0] waited = '0;
    wire rst = waited != '1;
    always_ff @(posedge clk) if (rst) waited <= waited + 1'b1;

    logic byte_valid, byte_ready;
    logic [7:0] byte_data;
    uart_rx #(.CLOCKS(CLOCKS)) receiver (.clk(clk), .rst(rst), .rx(rx), .valid(byte_valid), .data(byte_data));
    logic lost;
    assign led = lost ^ LED_LOW;
    always_ff @(posedge clk) begin
        if (rst) lost <= 1'b0;
        else if (byte_valid && !byte_ready) lost <= 1'b1;
    end

    logic word_valid, word_ready, in_valid, in_ready, out_valid, out_ready, answer_valid, answer_ready;
    logic [8*IN_BYTES-1:0] word_data;
    logic [IN-1:0] in_data;
    logic [OUT-1:0] out_data;
    logic [7:0] answer_data;
    lane_adapter #(.BITS(8), .IN(1), .OUT(IN_BYTES)) collect
        (.clk(clk), .rst(rst), .in_valid(byte_valid), .in_ready(byte_ready), .in_data(byte_data),
         .out_valid(word_valid), .out_ready(word_ready), .out_data(word_data));
    stream_fifo #(.WIDTH(IN), .DEPTH(WORDS)) frame
        (.clk(clk), .rst(rst), .in_valid(word_valid), .in_ready(word_ready), .in_data(word_data[IN-1:0]),
         .out_valid(in_valid), .out_ready(in_ready), .out_data(in_data));
    network network
        (.clk(clk), .rst(rst), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
         .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data));
    lane_adapter #(.BITS(8), .IN(OUT_BYTES), .OUT(1)) answer
        (.clk(clk), .rst(rst), .in_valid(out_valid), .in_ready(out_ready), .in_data((8*OUT_BYTES)'(out_data)),
         .out_valid(answer_valid), .out_ready(answer_ready), .out_data(answer_data));
    uart_tx #(.CLOCKS(CLOCKS)) transmitter
        (.clk(clk), .rst(rst), .in_valid(answer_valid), .in_ready(answer_ready), .in_data(answer_data), .tx(tx));
endmodule
