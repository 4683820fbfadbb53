class RemovePrice < ActiveRecord::Migration[7.1]
  def change
    remove_column :orders, :unit_price, :decimal
  end
end
