// Pin of an ECP5 that is an input without a register.
module TRELLIS_IO_INPUT (input logic B, output logic O);
    assign O = B;
endmodule
