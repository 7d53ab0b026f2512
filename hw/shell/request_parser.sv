// Checks a request and says what to answer; the payload of an inference passes through on its way to the memory.
//
// PARAMETERS
//   BYTES    of the payload of an inference, 1 to 65535
//
// PORTS
//   in           bytes of a packet; ended, aborted: its end (see deframer)
//   payload      bytes that may be the payload of an inference; payload_last: the frame is full with this one
//   busy         no frame can be taken: the memory is in use, or an answer is owed or under way
//   room         a reply can be taken
//   reply_valid  a request has ended and must be answered with `code` and `number`, for one clock
//   accept       with it: the payload that has passed is a frame for the network, whole and right
//
// HANDSHAKE  none: everything is taken in the clock in which it comes
// LATENCY    reply_valid in the clock of `ended`
//
// A request that ends while there is no room is dropped without a reply. Nothing of a request is left behind when it
// has ended, whatever it was.
module request_parser #(
    parameter int BYTES = 1
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    input  logic [7:0] in_data,
    input  logic ended,
    input  logic aborted,
    output logic payload_valid,
    output logic [7:0] payload_data,
    input  logic payload_last,
    input  logic busy,
    input  logic room,
    output logic reply_valid,
    output logic [3:0] code,
    output logic [7:0] number,
    output logic accept
);
    // The first byte: protocol version and type of request. hw/shell/README.md lists types and codes.
    localparam logic [7:0] IDENTIFY = 8'h10, INFER = 8'h11;
    localparam logic [15:0] LENGTH = 16'(BYTES);
    typedef enum logic [2:0] {TYPE, NUMBER, LENGTH_LOW, LENGTH_HIGH, PAYLOAD, FCS_LOW, FCS_HIGH, DONE} state_t;
    state_t state;
    logic identify, infer, wrong, missed, good;
    logic [15:0] crc;
    logic [7:0] length;
    crc16 checksum (.clk(clk), .clear(rst || ended), .enable(in_valid), .data(in_data), .crc(crc), .good(good));
    assign length = !infer ? 8'h0 : state == LENGTH_LOW ? LENGTH[7:0] : LENGTH[15:8];
    assign payload_valid = in_valid && state == PAYLOAD;
    assign payload_data = in_data;
    assign reply_valid = ended && room;
    assign accept = reply_valid && code == 4'h1;

    always_comb begin
        if (!good || aborted) code = 4'h8;
        else if (!identify && !infer) code = 4'h9;
        // Before the length: what was missed was not counted.
        else if (infer && (missed || busy)) code = 4'hB;
        else if (wrong || state != DONE) code = 4'hA;
        else code = {3'b0, infer};
    end

    always_ff @(posedge clk) begin
        if (in_valid && state == NUMBER) number <= in_data;
        if (rst || ended) begin
            state <= TYPE;
            {identify, infer, wrong, missed} <= '0;
        end else if (in_valid) begin
            case (state)
                TYPE: begin
                    identify <= in_data == IDENTIFY;
                    infer <= in_data == INFER;
                    state <= NUMBER;
                end
                NUMBER: state <= LENGTH_LOW;
                LENGTH_LOW: state <= LENGTH_HIGH;
                LENGTH_HIGH: state <= infer ? PAYLOAD : FCS_LOW;
                PAYLOAD: if (payload_last) state <= FCS_LOW;
                FCS_LOW: state <= FCS_HIGH;
                default: state <= DONE;
            endcase
            if ((state == LENGTH_LOW || state == LENGTH_HIGH) && in_data != length) wrong <= 1'b1;
            if (state == DONE) wrong <= 1'b1;
            if (state == PAYLOAD && busy) missed <= 1'b1;
        end
    end
endmodule
