// What Egide uses of libheif, for tsc; written for Egide, no part of libheif.

export interface HeifImage {
    get_width(): number;
    get_height(): number;
    is_primary(): boolean;
    has_alpha_channel(): boolean;
    is_premultiplied_alpha(): boolean;
    /** Decodes into RGBA, later; null if that fails. */
    display(
        target: { data: Uint8ClampedArray; width: number; height: number },
        done: (decoded: { data: Uint8ClampedArray } | null) => void,
    ): void;
    free(): void;
}

export interface HeifDecoder {
    decoder: unknown;
    /** The top-level pictures of a file; none if it cannot be read. */
    decode(file: Uint8Array): HeifImage[];
}

export interface Libheif {
    HeifDecoder: new () => HeifDecoder;
    heif_get_version(): string;
    heif_context_free(context: unknown): void;
    /** Everything else that Emscripten exports. */
    [name: string]: any;
}

export interface LibheifOptions {
    /** Instantiates at once, from a module that was compiled before; the build does not wait. */
    instantiateWasm?(
        imports: WebAssembly.Imports,
        ready: (instance: WebAssembly.Instance) => WebAssembly.Exports,
    ): WebAssembly.Exports;
    wasmBinary?: ArrayBuffer;
    print?(line: string): void;
    printErr?(line: string): void;
}

export default function libheif(options?: LibheifOptions): Libheif;
