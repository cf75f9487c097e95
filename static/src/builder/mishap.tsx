/** What is shown when the builder itself fails: the work is kept in the tab and in the draft. */

import { Component, type ReactNode } from "react";

export class Mishap extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error): { error: Error } {
    return { error };
  }

  override render(): ReactNode {
    if (!this.state.error) return this.props.children;
    return (
      <div className="b-starting" role="alert">
        <p>The builder has failed: {this.state.error.message}</p>
        <p>Your work is kept. <button type="button" className="b-button" onClick={() => location.reload()}>Reload</button></p>
      </div>
    );
  }
}
