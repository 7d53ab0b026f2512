// Sum or maximum of every COUNT words, element by element: pooling behind a window, or a sum of groups.
//
// PARAMETERS
//   LANES        elements in a word
//   X, X_SIGNED  bits of an input, and whether it is two's complement
//   COUNT        words that make one
//   MAX          1: greatest; 0: sum
//   Y            bits of an output, as signed as the input
//
// PORTS    in, out: streams
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    1 clock from the last of COUNT words
// THROUGHPUT one word per clock
module reduce #(
    parameter int LANES = 1,
    parameter int X = 8,
    parameter bit X_SIGNED = 0,
    parameter int COUNT = 4,
    parameter bit MAX = 0,
    parameter int Y = 10
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [LANES*X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*Y-1:0] out_data
);
    localparam int COUNTER = $clog2(COUNT + 1);
    logic [COUNTER-1:0] count;
    wire advance = !out_valid || out_ready;
    wire step = in_valid && advance;
    wire last = count == COUNTER'(COUNT - 1);
    assign in_ready = advance;
    always_ff @(posedge clk) begin
        if (rst) begin
            count <= '0;
            out_valid <= 1'b0;
        end else begin
            if (step) count <= last ? '0 : count + 1'b1;
            if (advance) out_valid <= step && last;
        end
    end
    generate
        for (genvar i = 0; i < LANES; i++) begin : element
            logic signed [Y:0] value, kept, next;
            if (X_SIGNED) begin : two
                assign value = (Y + 1)'($signed(in_data[i*X+:X]));
            end else begin : magnitude
                assign value = (Y + 1)'(in_data[i*X+:X]);
            end
            if (MAX) begin : greatest
                assign next = count == 0 || value > kept ? value : kept;
            end else begin : sum
                assign next = count == 0 ? value : kept + value;
            end
            assign out_data[i*Y+:Y] = kept[Y-1:0];
            always_ff @(posedge clk) if (step) kept <= next;
        end
    endgenerate
endmodule
