// Other lanes for the same elements: words of IN elements become words of OUT elements, in the same order.
//
// PARAMETERS
//   BITS       of an element
//   IN, OUT    elements in a word; one divides the other
//
// PORTS    in, out: streams; element i of a word in bits [i*BITS +: BITS]
//
// HANDSHAKE  out_valid and out_data come from registers. in_ready depends on out_ready.
// LATENCY    1 clock from the last word needed
// THROUGHPUT one word per clock on the side with the smaller words
module lane_adapter #(
    parameter int BITS = 8,
    parameter int IN = 1,
    parameter int OUT = 4
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [IN*BITS-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [OUT*BITS-1:0] out_data
);
    wire taken = !out_valid || out_ready;
    generate
        if (IN == OUT) begin : same
            assign in_ready = taken;
            always_ff @(posedge clk) begin
                if (rst) out_valid <= 1'b0;
                else if (taken) out_valid <= in_valid;
                if (taken) out_data <= in_data;
            end
        end else if (IN < OUT) begin : widen
            localparam int RATIO = OUT / IN;
            localparam int COUNT = $clog2(RATIO);
            logic [COUNT-1:0] count;
            // The last part goes straight to the output, the others wait.
            logic [(OUT-IN)*BITS-1:0] waiting;
            wire last = count == COUNT'(RATIO - 1);
            wire step = in_valid && in_ready;
            assign in_ready = !last || taken;
            always_ff @(posedge clk) begin
                if (rst) begin
                    count <= '0;
                    out_valid <= 1'b0;
                end else begin
                    if (step) count <= last ? '0 : count + 1'b1;
                    if (taken) out_valid <= step && last;
                end
                if (step) waiting <= ((OUT-IN)*BITS)'({in_data, waiting} >> (IN * BITS));
                if (step && last) out_data <= {in_data, waiting};
            end
        end else begin : narrow
            localparam int RATIO = IN / OUT;
            localparam int COUNT = $clog2(RATIO + 1);
            logic [COUNT-1:0] left;
            logic [IN*BITS-1:0] parts;
            assign out_valid = left != 0;
            assign out_data = parts[OUT*BITS-1:0];
            assign in_ready = left == 0 || (left == COUNT'(1) && out_ready);
            always_ff @(posedge clk) begin
                if (rst) left <= '0;
                else if (in_valid && in_ready) left <= COUNT'(RATIO);
                else if (out_valid && out_ready) left <= left - 1'b1;
                if (in_valid && in_ready) parts <= in_data;
                else if (out_valid && out_ready) parts <= parts >> (OUT * BITS);
            end
        end
    endgenerate
endmodule
