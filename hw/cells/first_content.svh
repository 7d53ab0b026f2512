// Parameters of a cell that hold the first content of its memory, by the sixteen: NAME0 to NAMEF of BITS bits each, and
// the vector that they make, NAME0 lowest. Simulation only.
`ifndef FIRST_CONTENT_SVH
`define FIRST_CONTENT_SVH
`define CONTENT_8(BITS, NAME) \
    parameter logic [BITS-1:0] NAME``0 = '0; \
    parameter logic [BITS-1:0] NAME``1 = '0; \
    parameter logic [BITS-1:0] NAME``2 = '0; \
    parameter logic [BITS-1:0] NAME``3 = '0; \
    parameter logic [BITS-1:0] NAME``4 = '0; \
    parameter logic [BITS-1:0] NAME``5 = '0; \
    parameter logic [BITS-1:0] NAME``6 = '0; \
    parameter logic [BITS-1:0] NAME``7 = '0;
`define CONTENT_16(BITS, NAME) \
    `CONTENT_8(BITS, NAME) \
    parameter logic [BITS-1:0] NAME``8 = '0; \
    parameter logic [BITS-1:0] NAME``9 = '0; \
    parameter logic [BITS-1:0] NAME``A = '0; \
    parameter logic [BITS-1:0] NAME``B = '0; \
    parameter logic [BITS-1:0] NAME``C = '0; \
    parameter logic [BITS-1:0] NAME``D = '0; \
    parameter logic [BITS-1:0] NAME``E = '0; \
    parameter logic [BITS-1:0] NAME``F = '0;
`define VECTOR_8(NAME) NAME``7, NAME``6, NAME``5, NAME``4, NAME``3, NAME``2, NAME``1, NAME``0
`define VECTOR_16(NAME) \
    NAME``F, NAME``E, NAME``D, NAME``C, NAME``B, NAME``A, NAME``9, NAME``8, `VECTOR_8(NAME)
`endif
