// Pin of an ECP5 that is an output without a register.
module TRELLIS_IO_OUTPUT (input logic I, output logic B);
    assign B = I;
endmodule
