// Packets onto a line of bytes: flags around them, their checksum behind them, escapes inside (RFC 1662).
//
// PORTS
//   in     stream of the bytes of packets; in_last with the last one of a packet
//   out    stream of the bytes of the line
//
// HANDSHAKE  in_ready depends on in_data and out_ready; out_valid and out_data depend on in_valid and in_data.
//            A packet may pause between its bytes, and the line pauses with it.
// LATENCY    a packet begins with its flag, in the clock in which its first byte is offered
// THROUGHPUT one byte of the line per clock; a packet of N bytes takes N + 4, and one more for each escape
module framer (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [7:0] in_data,
    input  logic in_last,
    output logic out_valid,
    input  logic out_ready,
    output logic [7:0] out_data
);
    localparam logic [7:0] FLAG = 8'h7E, ESCAPE = 8'h7D;
    typedef enum logic [2:0] {OPEN, BODY, LOW, HIGH, CLOSE} state_t;
    state_t state;
    // The escape of a byte has been sent, the byte has not.
    logic escaped;
    logic [7:0] plain;
    logic [15:0] crc;
    logic content, good;
    always_comb begin
        content = 1'b1;
        case (state)
            BODY: plain = in_data;
            LOW: plain = ~crc[7:0];
            HIGH: plain = ~crc[15:8];
            default: begin
                plain = FLAG;
                content = 1'b0;
            end
        endcase
    end
    wire escape = content && (plain == FLAG || plain == ESCAPE) && !escaped;
    wire pass = out_valid && out_ready && !escape;
    assign out_valid = in_valid || !(state == OPEN || state == BODY);
    assign out_data = escape ? ESCAPE : plain ^ {2'b0, escaped, 5'b0};
    assign in_ready = out_ready && state == BODY && !escape;
    crc16 checksum (.clk(clk), .clear(state == OPEN), .enable(pass && state == BODY), .data(in_data), .crc(crc),
                    .good(good));

    always_ff @(posedge clk) begin
        if (rst) begin
            state <= OPEN;
            escaped <= 1'b0;
        end else if (out_valid && out_ready) begin
            escaped <= escape;
            if (pass)
                case (state)
                    OPEN: state <= BODY;
                    BODY: if (in_last) state <= LOW;
                    LOW: state <= HIGH;
                    HIGH: state <= CLOSE;
                    default: state <= OPEN;
                endcase
        end
    end
endmodule
