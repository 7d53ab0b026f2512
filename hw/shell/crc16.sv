// Checksum of a packet: FCS-16 of RFC 1662, which is CRC-16/X.25 before its last complement.
//
// PORTS    clear: begin anew; enable: take `data`, unless `clear` is high; crc: of all bytes so far
//
// The checksum that is sent is the complement, low byte first. Over a packet and its checksum, crc is GOOD.
//
// LATENCY  1 clock
module crc16 (
    input  logic clk,
    input  logic clear,
    input  logic enable,
    input  logic [7:0] data,
    output logic [15:0] crc,
    output logic good
);
    localparam logic [15:0] GOOD = 16'hF0B8;
    // Eight steps of x^16 + x^12 + x^5 + 1 at once, lowest bit first: two levels of exclusive ors.
    logic [7:0] low, mixed;
    assign low = data ^ crc[7:0];
    assign mixed = low ^ {low[3:0], 4'b0};
    assign good = crc == GOOD;

    always_ff @(posedge clk) begin
        if (clear) crc <= '1;
        else if (enable) crc <= {mixed, crc[15:8]} ^ {12'b0, mixed[7:4]} ^ {5'b0, mixed, 3'b0};
    end
endmodule
